"""A hub of one's own: the few answers of its API that fetching a repository takes, over real HTTP."""

import hashlib
import json
import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Repositories by name, each a folder. `token`: without it everything is refused as gated."""

    repositories: dict[str, Path] = field(default_factory=dict[str, Path])
    url: str = ""
    token: str | None = None
    cut_after: int | None = None  # bytes, after which the next answer breaks off, once
    stalled: threading.Event | None = None  # large answers wait for it halfway
    damaged: str | None = None  # a file whose content arrives wrong
    served: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])  # (file, bytes) of GET answers
    seen_tokens: set[str | None] = field(default_factory=set[str | None])

    def got(self, file: str) -> int:
        return sum(count for name, count in self.served if name == file)


@contextmanager
def running_hub() -> Generator[Hub]:
    hub = Hub()

    class Answer(_Answer):
        pass

    Answer.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Answer(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if api := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path):
            self._api(api[1], api[2], api[3] or "main")
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._file(found[1], found[2], found[3])
        else:
            self._refuse(404, "EntryNotFound")

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _allowed(self, repository: str, revision: str) -> bool:
        self.hub.seen_tokens.add(self.headers["Authorization"])
        if repository not in self.hub.repositories:
            self._refuse(404, "RepoNotFound")
        elif self.hub.token is not None and self.headers["Authorization"] != f"Bearer {self.hub.token}":
            self._refuse(403, "GatedRepo")
        elif revision not in ("main", "v1", COMMIT):
            self._refuse(404, "RevisionNotFound")
        else:
            return True
        return False

    def _api(self, repository: str, what: str | None, revision: str) -> None:
        if not self._allowed(repository, revision):
            return
        folder = self.hub.repositories[repository]
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        if what == "tree":
            rows: object = [
                {"type": "file", "path": str(p.relative_to(folder)), "size": p.stat().st_size, "oid": _sha256(p)}
                for p in files
            ]
        else:
            rows = {"id": repository, "sha": COMMIT, "siblings": [{"rfilename": str(p)} for p in files]}
        self._send(json.dumps(rows).encode(), {"Content-Type": "application/json"})

    def _file(self, repository: str, revision: str, name: str) -> None:
        if not self._allowed(repository, revision):
            return
        file = self.hub.repositories[repository] / name
        if not file.is_file():
            return self._refuse(404, "EntryNotFound")
        data = file.read_bytes()
        headers = {"ETag": f'"{_sha256(file)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if name == self.hub.damaged:
            data = data[:-1] + bytes([data[-1] ^ 1])
        if found := re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or ""):
            start = int(found[1])
            return self._send(data[start:], headers | {"Content-Range": f"bytes {start}-/{len(data)}"}, 206, name)
        self._send(data, headers, 200, name)

    def _refuse(self, status: int, code: str) -> None:
        self._send(b"{}", {"X-Error-Code": code, "X-Error-Message": code}, status)

    def _send(self, data: bytes, headers: dict[str, str], status: int = 200, name: str = "") -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self.hub.cut_after if len(data) > 1 << 20 else None
        if cut is not None:
            data, self.hub.cut_after = data[:cut], None
        half = len(data) // 2 if len(data) > 1 << 20 else len(data)
        self.wfile.write(data[:half])
        if half < len(data) and self.hub.stalled is not None:
            self.hub.stalled.wait(10)
        self.wfile.write(data[half:])
        if name:
            self.hub.served.append((name, len(data)))
        if cut is not None:
            self.close_connection = True


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
