"""Local servers, and names that resolve to whatever a test says."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from likeness.errors import InputError
from likeness.studio import connecting
from likeness.studio.outside import Limits, Unreachable, fetch, is_public, post

PRIVATE = Limits(private=True, seconds=20)
PUBLIC_ADDRESS = "93.184.216.34"


class Site(BaseHTTPRequestHandler):
    """Answers by path; what was asked is in `asked`."""

    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        type(self).asked.append((self.path, self.headers["host"]))
        kind, _, rest = self.path[1:].partition("/")
        if kind == "to":
            self.send_response(302)
            self.send_header("Location", rest)
            self.end_headers()
        elif kind == "file":
            self._send(b"x" * int(rest or 5), {"Content-Type": "image/png; q=1"})
        elif kind == "named":
            self._send(b"abc", {"Content-Disposition": 'attachment; filename="../../evil/name.zip"'})
        elif kind == "endless":
            self.send_response(200)
            self.end_headers()
            self._drip(int(rest))
        elif kind == "lying":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"short")
        else:
            self._send(b"", {}, 404)

    def do_POST(self) -> None:
        type(self).asked.append((self.path, self.rfile.read(int(self.headers["content-length"])).decode()))
        self._send(b"y" * 5000, {}, 500 if self.path == "/broken" else 200)

    def _drip(self, size: int) -> None:
        try:
            for _ in range(10_000):
                self.wfile.write(b"x" * size)
                time.sleep(0.01 if size == 1 else 0)
        except OSError:
            pass

    def _send(self, body: bytes, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def site() -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """A server's port, and what it was asked."""
    handler = type("Handler", (Site,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.server_port, handler.asked  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Lets names resolve to addresses, one after another; gives what was asked for. Connections go where they are told
    to, and those to the public address end in this machine."""
    plain, connect = socket.getaddrinfo, socket.create_connection

    def patch(**table: list[str]) -> list[str]:
        asked: list[str] = []

        def resolve(host: Any, port: Any, *args: Any, **more: Any) -> Any:
            if (answers := table.get(str(host).replace(".", "_"))) is None:
                return plain(host, port, *args, **more)
            asked.append(str(host))
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in answer.split()]

        def reach(address: Any, *args: Any, **more: Any) -> socket.socket:
            host, port = address
            return connect(("127.0.0.1" if host == PUBLIC_ADDRESS else host, port), *args, **more)

        monkeypatch.setattr(connecting.socket, "getaddrinfo", resolve)
        monkeypatch.setattr(socket, "create_connection", reach)
        return asked

    return patch


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1",
        "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1",
        "2002:7f00:1::", "2001:db8::1", "2001:0:53aa:64c:0:0:80ff:fffe",
    ],
)  # fmt: skip
def test_addresses_of_this_machine_and_its_network_are_none_of_the_internet(address: str) -> None:
    assert not is_public(address)


def test_addresses_of_the_internet_are_public() -> None:
    assert all(map(is_public, ("8.8.8.8", PUBLIC_ADDRESS, "2606:4700::1111")))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "0", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_this_machine_is_not_reached_however_it_is_written(
    host: str, site: tuple[int, list[tuple[str, str]]], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"private network|has no address"):
        fetch(f"http://{host}:{site[0]}/file/5", tmp_path / "f")
    assert site[1] == [] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://a.example/x", "http:///x", "//a.example", "http://u:p@a.example/", "http://a b/",
     "http://[::1/", "http://a.example:99999/", "gopher://a", "http://a.example/\nHost: b", "", "http://ä.example/"],
)  # fmt: skip
def test_only_plain_http_addresses_are_asked(url: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="url: "):
        fetch(url, tmp_path / "f")


def test_a_public_name_is_fetched_from_the_address_that_was_looked_at(
    site: tuple[int, list[tuple[str, str]]], names: Callable[..., list[str]], tmp_path: Path
) -> None:
    # A second look would find this machine: nobody looks twice.
    asked = names(pictures_example=[PUBLIC_ADDRESS, "127.0.0.1"])
    found = fetch(f"http://pictures.example:{site[0]}/file/7", tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"x" * 7
    assert (found.name, found.size, found.content_type) == ("7", 7, "image/png")
    assert asked == ["pictures.example"] and site[1] == [("/file/7", f"pictures.example:{site[0]}")]


def test_over_tls_the_certificate_is_asked_for_by_name_though_the_address_is_connected_to(
    certificate: Path, names: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = type("Handler", (Site,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(connecting.ssl, "create_default_context", lambda: trusting)
    names(localhost=[PUBLIC_ADDRESS], other_example=[PUBLIC_ADDRESS])
    fetch(f"https://localhost:{server.server_port}/file/9", tmp_path / "f")
    assert (tmp_path / "f").stat().st_size == 9
    with pytest.raises(Unreachable, match=r"(?i)hostname mismatch|not valid for"):
        fetch(f"https://other.example:{server.server_port}/file/9", tmp_path / "g")
    server.shutdown()
    server.server_close()


def test_a_name_with_one_private_address_among_public_ones_is_refused(
    site: tuple[int, list[tuple[str, str]]], names: Callable[..., list[str]], tmp_path: Path
) -> None:
    names(mixed_example=[f"{PUBLIC_ADDRESS} 127.0.0.1"])
    with pytest.raises(InputError, match="private network"):
        fetch(f"http://mixed.example:{site[0]}/file", tmp_path / "f")
    assert site[1] == []


def test_a_redirect_into_the_private_network_is_not_followed(
    site: tuple[int, list[tuple[str, str]]], names: Callable[..., list[str]], tmp_path: Path
) -> None:
    port, asked = site
    names(pictures_example=[PUBLIC_ADDRESS])
    start = f"http://pictures.example:{port}/to/"
    for inside in (f"http://127.0.0.1:{port}/file", f"http://localhost:{port}/file", "file:///etc/passwd"):
        with pytest.raises(InputError):
            fetch(start + inside, tmp_path / "f")
    assert all(path.startswith("/to/") for path, _ in asked)
    fetch(f"{start}http://pictures.example:{port}/file/3", tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"xxx"
    with pytest.raises(InputError, match="leads on"):
        fetch(f"{start}" + f"http://pictures.example:{port}/to/" * 9, tmp_path / "g")


def test_private_addresses_are_reached_where_that_is_allowed(
    site: tuple[int, list[tuple[str, str]]], tmp_path: Path
) -> None:
    found = fetch(f"http://127.0.0.1:{site[0]}/named/x", tmp_path / "f", PRIVATE)
    assert found.name == "name.zip" and (tmp_path / "f").read_bytes() == b"abc"


def test_what_is_too_large_is_cut_off_and_leaves_nothing(
    site: tuple[int, list[tuple[str, str]]], tmp_path: Path
) -> None:
    small = Limits(most_bytes=1000, private=True)
    for path in ("file/1001", "endless/100000"):  # told before, and never told
        with pytest.raises(InputError, match="larger than"):
            fetch(f"http://127.0.0.1:{site[0]}/{path}", tmp_path / "f", small)
    fetch(f"http://127.0.0.1:{site[0]}/file/1000", tmp_path / "g", small)
    assert [path.name for path in tmp_path.iterdir()] == ["g"]


def test_what_is_too_slow_is_cut_off(site: tuple[int, list[tuple[str, str]]], tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="took longer"):  # each byte comes soon enough; all of them never do
        fetch(f"http://127.0.0.1:{site[0]}/endless/1", tmp_path / "f", Limits(seconds=0.5, private=True))
    assert list(tmp_path.iterdir()) == []


def test_what_goes_wrong_is_told_in_words(site: tuple[int, list[tuple[str, str]]], tmp_path: Path) -> None:
    here = f"http://127.0.0.1:{site[0]}"
    with pytest.raises(InputError, match="answered 404"):
        fetch(f"{here}/nothing", tmp_path / "f", PRIVATE)
    with pytest.raises(Unreachable):
        fetch(f"{here}/lying", tmp_path / "f", PRIVATE)
    with pytest.raises(Unreachable):
        fetch("http://127.0.0.1:1/", tmp_path / "f", PRIVATE)
    with pytest.raises(Unreachable):  # no TLS there
        fetch(f"https://127.0.0.1:{site[0]}/", tmp_path / "f", PRIVATE)
    assert list(tmp_path.iterdir()) == []


def test_a_post_brings_its_answer_and_follows_nothing(site: tuple[int, list[tuple[str, str]]]) -> None:
    here = f"http://127.0.0.1:{site[0]}"
    reply = post(f"{here}/hook", b"{}", {}, Limits(most_bytes=1000, private=True))
    assert reply.status == 200 and len(reply.body) == 1000 and site[1] == [("/hook", "{}")]
    with pytest.raises(InputError, match="private network"):
        post(f"{here}/hook", b"{}", {}, Limits())
    assert len(site[1]) == 1
