"""A server on this machine that speaks Ollama's and OpenAI's protocols, and fails as real ones do."""

import json
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What a request gets. `body`: text as it is, anything else as JSON."""

    body: Any = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    hangs: bool = False  # says nothing until the server is closed
    drips: bool = False  # a byte now and then, without end
    breaks: bool = False  # promises more than it sends


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: Any


class Server:
    """`answer` is asked for the reply to each request; the requests are kept in the order of their arrival."""

    def __init__(self, answer: Callable[[Received], Reply]):
        self.answer, self.received, self.closing = answer, list[Received](), threading.Event()
        self.lock = threading.Lock()
        self.at_once = self.most_at_once = 0
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"server_of": self}))
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def paths(self) -> list[str]:
        return [r.path for r in self.received]


class _Handler(BaseHTTPRequestHandler):
    server_of: Server

    def do_POST(self) -> None:
        server = self.server_of
        data = self.rfile.read(int(self.headers["Content-Length"]))
        received = Received(self.path, {k.lower(): v for k, v in self.headers.items()}, json.loads(data))
        with server.lock:
            server.received.append(received)
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        try:
            self._reply(server.answer(received))
        except OSError:
            pass  # the client has gone
        finally:
            with server.lock:
                server.at_once -= 1

    def _reply(self, reply: Reply) -> None:
        if reply.hangs:
            self.server_of.closing.wait(20)
            return
        body = (reply.body if isinstance(reply.body, str) else json.dumps(reply.body)).encode()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) + 1000 * (reply.drips or reply.breaks)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        while reply.drips and not self.server_of.closing.wait(0.02):
            self.wfile.write(b" ")
        if reply.breaks:
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(*replies: Reply | Callable[[Received], Reply]) -> Generator[Server]:
    """A server that gives these replies one after the other, the last one for ever."""
    waiting = list(replies)
    lock = threading.Lock()

    def answer(received: Received) -> Reply:
        with lock:
            reply = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return reply(received) if callable(reply) else reply

    server = Server(answer)
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.http.shutdown()
        server.http.server_close()


def free_address() -> str:
    """Where nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{s.getsockname()[1]}"


def said(text: str, finish: str = "stop", **message: Any) -> dict[str, Any]:
    """An answer of OpenAI's."""
    return {"choices": [{"message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}]}


def chatted(text: str, reason: str = "stop") -> dict[str, Any]:
    """An answer of Ollama's."""
    return {"message": {"role": "assistant", "content": text}, "done": True, "done_reason": reason}


SEES = Reply({"capabilities": ["completion", "vision"]})  # what Ollama says of a model that can see
