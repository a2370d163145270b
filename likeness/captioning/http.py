"""JSON over HTTP to a server that may be slow, busy, broken or gone: time limits, further attempts, plain reasons."""

import email.utils
import functools
import http.client
import json
import random
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from likeness.captioning.protocol import CaptionFailed, Reason

T = TypeVar("T")

MAX_BYTES = 8 << 20  # of one answer
MOST_WAIT_SECONDS = 120.0  # between two attempts; a server that asks for more is taken to be closed for now
_AGAIN = {408, 409, 425, 429, 500, 502, 503, 504, 529}  # statuses after which the same request may succeed
_LOCAL = ("localhost", "127.", "[::1]", "::1")


class ServerRefusal(Exception):
    """An answer that further attempts would not change. `status` is HTTP's; `message` the server's own words,
    `code` its name for them, where it has one."""

    def __init__(self, status: int, message: str, code: str = ""):
        super().__init__(f"the server answered {status}: {message}" if message else f"the server answered {status}")
        self.status, self.message, self.code = status, message, code


class Malformed(Exception):
    """An answer without the content that it should have; raised by those who read it."""

    def __init__(self, message: str, reason: Reason = "malformed"):
        super().__init__(message)
        self.reason: Reason = reason


class _Attempt(Exception):
    """One attempt failed; the next may not. `wait`: seconds that the server asks to wait."""

    def __init__(self, reason: Reason, message: str, wait: float | None = None):
        super().__init__(message)
        self.reason: Reason = reason
        self.wait = wait


class Client:
    """Talks to one server, from any number of threads.

    `timeout` limits one attempt as a whole, in seconds, and `max_retries` the attempts after the first. Waits between
    them double from `first_wait`, with some chance in them so that many threads do not come back at once. Redirects are
    not followed: the key and the pictures go where the settings say and nowhere else.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        timeout: float,
        max_retries: int,
        headers: dict[str, str] | None = None,
        first_wait: float = 1.0,
    ):
        self.endpoint = endpoint.rstrip("/")
        self.timeout, self.max_retries, self.first_wait = timeout, max_retries, first_wait
        self._headers = {"Content-Type": "application/json", "User-Agent": "likeness", **(headers or {})}
        self._stopped = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Cut what is under way; every call then raises CaptionFailed('stopped')."""
        self._stopped.set()
        with self._lock:
            for sock in self._open:
                _shut(sock)

    def post(
        self, path: str, payload: dict[str, Any], read: Callable[[dict[str, Any]], T], *, max_retries: int | None = None
    ) -> T:
        """What `read` finds in the answer to `payload`; where it raises Malformed, that counts as a failed attempt.

        Raises ServerRefusal for an answer that would stay the same, CaptionFailed when all attempts are used up.
        """
        body = json.dumps(payload).encode()
        attempts = 1 + (self.max_retries if max_retries is None else max_retries)
        for attempt in range(attempts):
            try:
                return read(self._object(path, body))
            except Malformed as e:
                failure = _Attempt(e.reason, str(e))
            except _Attempt as e:
                failure = e
            if self._stopped.is_set():
                raise CaptionFailed("stopped", "stopped before it was done")
            wait = self._wait(attempt, failure)
            if attempt + 1 == attempts or wait > MOST_WAIT_SECONDS:
                tried = f" ({attempt + 1} attempts)" if attempt else ""
                raise CaptionFailed(failure.reason, f"{failure}{tried}")
            if self._stopped.wait(wait):
                raise CaptionFailed("stopped", "stopped before it was done")
        raise AssertionError("there is always an attempt")

    def lines(self, path: str, payload: dict[str, Any]) -> Generator[dict[str, Any]]:
        """The objects of an answer that comes line by line, over any length of time; `timeout` limits each silence.

        Raises ServerRefusal and CaptionFailed; is not tried again.
        """
        try:
            with self._sent(path, json.dumps(payload).encode(), whole=False) as answer:
                while line := answer.readline(MAX_BYTES):
                    if line.strip():
                        yield _parsed(line)
        except (_Attempt, Malformed) as e:
            raise CaptionFailed("stopped" if self._stopped.is_set() else e.reason, str(e)) from e

    def _wait(self, attempt: int, failure: _Attempt) -> float:
        if failure.wait is not None:
            return failure.wait
        return min(self.first_wait * 2**attempt * random.uniform(0.75, 1.25), MOST_WAIT_SECONDS)

    def _object(self, path: str, body: bytes) -> dict[str, Any]:
        with self._sent(path, body, whole=True) as answer:
            data, missing = answer.read(MAX_BYTES + 1), answer.length
        if missing and len(data) <= MAX_BYTES:
            raise _Attempt("server", "the connection broke before the answer was whole")
        if len(data) > MAX_BYTES:
            raise _Attempt("malformed", f"the answer is larger than {MAX_BYTES >> 20} MB")
        return _parsed(data)

    @contextmanager
    def _sent(self, path: str, body: bytes, *, whole: bool) -> Generator[Any]:
        """The server's answer to a request, whose end `timeout` waits for where it is wanted `whole`."""
        if self._stopped.is_set():
            raise _Attempt("stopped", "stopped before it was done")
        mine: list[socket.socket] = []
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            for sock in mine:
                _shut(sock)

        timer = threading.Timer(self.timeout, expire)
        timer.daemon = True
        if whole:
            timer.start()
        request = urllib.request.Request(self.endpoint + path, body, self._headers, method="POST")
        try:
            with _opener(self.endpoint, functools.partial(self._watch, mine)).open(request, timeout=self.timeout) as a:
                yield a
        except urllib.error.HTTPError as e:
            raise _by_status(e) from e
        except (OSError, http.client.HTTPException, ValueError) as e:
            raise self._explained(e, expired.is_set()) from e
        finally:
            timer.cancel()
            with self._lock:
                self._open.difference_update(mine)
        if expired.is_set():  # it was cut where the answer may seem whole
            raise self._explained(TimeoutError(), True)

    def _watch(self, mine: list[socket.socket], sock: socket.socket) -> None:
        mine.append(sock)
        with self._lock:
            self._open.add(sock)
            if self._stopped.is_set():  # while the connection was being made
                _shut(sock)

    def _explained(self, error: Exception, expired: bool) -> _Attempt:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        if expired or isinstance(cause, TimeoutError):
            return _Attempt("timeout", f"no answer within {self.timeout:g} s")
        if isinstance(cause, ConnectionRefusedError | socket.gaierror):
            return _Attempt("unreachable", f"{self.endpoint} cannot be reached ({cause.strerror or cause})")
        if isinstance(cause, OSError) and not isinstance(cause, ConnectionError):
            return _Attempt("unreachable", f"{self.endpoint} cannot be reached ({cause})")
        return _Attempt("server", f"the connection broke ({_one_line(cause)})")


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise Malformed(f"the answer is not JSON ({_one_line(data[:60].decode(errors='replace'))})") from None
    if not isinstance(found, dict):
        raise Malformed("the answer is not a JSON object")
    return found


def _by_status(error: urllib.error.HTTPError) -> Exception:
    """_Attempt or ServerRefusal, with what the server says."""
    with suppress(OSError, http.client.HTTPException):
        body = error.read(1 << 16)
        message, code = _error_in(body)
        if error.code in _AGAIN and code != "insufficient_quota":  # no money left: waiting does not help
            told = f"the server answered {error.code}{': ' + message if message else ''}"
            return _Attempt("server", told, _retry_after(error.headers.get("Retry-After")))
        if 300 <= error.code < 400:
            message = f"it sends us to {error.headers.get('Location')}, which is not followed"
        return ServerRefusal(error.code, message, code)
    return _Attempt("server", f"the server answered {error.code} and broke off")


def _error_in(body: bytes) -> tuple[str, str]:
    """The message and the code of an error, in the forms of Ollama and of OpenAI; else the beginning of the text."""
    try:
        told: Any = json.loads(body)
        told = told.get("error", told) if isinstance(told, dict) else told
        if isinstance(told, dict):
            return _one_line(told.get("message") or told), str(told.get("code") or told.get("type") or "")
        return _one_line(told), ""
    except (ValueError, RecursionError):
        return _one_line(body.decode(errors="replace")), ""


def _retry_after(value: str | None) -> float | None:
    """Seconds, from seconds or a date; None where it says nothing that can be understood."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError):
            return None
    return max(0.0, seconds) if seconds == seconds else None


def _one_line(what: object, longest: int = 200) -> str:
    text = " ".join(str(what).split()) or type(what).__name__
    return text if len(text) <= longest else f"{text[:longest]}…"


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> None:
        return None


def _opener(endpoint: str, watch: Callable[[socket.socket], None]) -> urllib.request.OpenerDirector:
    """With the machine's proxy, but not for the machine itself. `watch` is told of each socket."""

    class Plain(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(functools.partial(_Watched, watch), req)  # pyright: ignore[reportArgumentType]

    class Secure(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(functools.partial(_WatchedSecure, watch), req)  # pyright: ignore[reportArgumentType]

    host = urllib.parse.urlsplit(endpoint).netloc.rpartition("@")[2]
    proxies = urllib.request.ProxyHandler({}) if host.startswith(_LOCAL) else urllib.request.ProxyHandler()
    return urllib.request.build_opener(proxies, Plain, Secure, _NoRedirects)


class _Watched(http.client.HTTPConnection):
    def __init__(self, watch: Callable[[socket.socket], None], *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.watch = watch

    def connect(self) -> None:
        super().connect()
        self.watch(self.sock)


class _WatchedSecure(http.client.HTTPSConnection):
    def __init__(self, watch: Callable[[socket.socket], None], *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.watch = watch

    def connect(self) -> None:
        super().connect()
        self.watch(self.sock)
