"""Requests to addresses that somebody typed: they reach the internet, not this machine or the network it is in.

A name is resolved once, all its addresses are looked at, and the connection goes to one of those that were looked at;
so a name that resolves to something else a moment later gains nothing. Redirects pass the same way. No proxy of the
environment is used, for it would resolve the name itself.
"""

import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import httpcore

from likeness import __version__, durable
from likeness.errors import InputError

CONNECT_SECONDS = 10.0
MOST_REDIRECTS = 5
_ASK = "Fix: check the address, or ask whoever runs that server"
# An IPv4 address in these lies in its last 32 bits.
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
_RESERVED_V6 = ipaddress.ip_network("::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Unreachable(InputError):
    """The other side was not there, or too slow: another time it may be."""


@dataclass(frozen=True)
class Limits:
    """What one request may take. `private`: it may reach this machine and its network."""

    most_bytes: int = 2 * 1024**3
    seconds: float = 600.0
    private: bool = False


@dataclass(frozen=True)
class Fetched:
    """`name` is the file's, as the server or the address gives it, without any folder; it may be empty."""

    name: str
    size: int
    content_type: str


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes  # its start


def fetch(url: str, into: Path, limits: Limits | None = None) -> Fetched:
    """Download `url` to the file `into`, which is whole or not there.

    Raises InputError for an address that is refused, and for whatever the other side does wrong or too slowly.
    """
    limits = limits or Limits()
    deadline = time.monotonic() + limits.seconds
    for _ in range(MOST_REDIRECTS + 1):
        with _request("GET", url, limits, deadline) as response:
            if response.status in (301, 302, 303, 307, 308):
                url = urljoin(url, _header(response, b"location"))
                continue
            if response.status != 200:
                raise InputError(f"url: the server answered {response.status}. {_ASK}")
            told = _header(response, b"content-length")
            if told.isdigit() and int(told) > limits.most_bytes:
                raise _too_large(limits)
            durable.write_with(into, lambda partial: _store(response, partial, limits))
            name = _named(_header(response, b"content-disposition")) or unquote(PurePosixPath(urlsplit(url).path).name)
            kind = _header(response, b"content-type").partition(";")[0].strip().lower()
            return Fetched(re.split(r"[/\\]", name)[-1].replace("\x00", ""), into.stat().st_size, kind)
    raise InputError(f"url: leads on more than {MOST_REDIRECTS} times. {_ASK}")


def post(url: str, body: bytes, headers: dict[str, str], limits: Limits) -> Reply:
    """POST `body`; redirects are not followed. Raises InputError as `fetch` does, Unreachable where nobody is there."""
    with _request("POST", url, limits, time.monotonic() + limits.seconds, body, headers) as response:
        start = bytearray()
        for chunk in response.iter_stream():
            start += chunk
            if len(start) > limits.most_bytes:
                break
        return Reply(response.status, bytes(start[: limits.most_bytes]))


def check_url(url: str) -> None:
    """Raises InputError for what is no plain http or https address. Where it leads is seen when it is used."""
    _taken_apart(url)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet at large, also where it wraps another address."""
    ip: Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if any(ip in network for network in _NAT64) or ip in _RESERVED_V6:
            return False
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None and not is_public(str(inner)):
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback)


class _Backend(httpcore.NetworkBackend):
    """Connects to addresses that were looked at, and to no other; all of it until `deadline`."""

    def __init__(self, private: bool, deadline: float):
        self._private, self._deadline, self._plain = private, deadline, httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as e:
            raise httpcore.ConnectError(f"'{host}' has no address") from e
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not self._private and not all(is_public(address) for address in addresses):
            raise InputError(
                f"url: '{host}' is in a private network. Fix: a public address, or allow private ones in the settings"
            )
        error: Exception | None = None
        for address in addresses:
            try:
                stream = self._plain.connect_tcp(address, port, min(CONNECT_SECONDS, _left(self._deadline)))
                return _Stream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as e:
                error = e
        raise error or httpcore.ConnectError(f"'{host}' has no address")

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        raise httpcore.ConnectError("sockets of this machine are not reached")

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class _Stream(httpcore.NetworkStream):
    """Ends at the deadline, however slowly the other side goes on."""

    def __init__(self, plain: httpcore.NetworkStream, deadline: float):
        self._plain, self._deadline = plain, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._plain.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._plain.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._plain.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._plain.start_tls(ssl_context, server_hostname, _left(self._deadline)), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._plain.get_extra_info(info)


@contextmanager
def _request(
    method: str, url: str, limits: Limits, deadline: float, body: bytes = b"", headers: dict[str, str] | None = None
) -> Generator[httpcore.Response]:
    host = _taken_apart(url)
    given = {"Host": host, "User-Agent": f"likeness/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}
    given |= headers or {}
    backend = _Backend(limits.private, deadline)
    try:
        with (
            httpcore.ConnectionPool(network_backend=backend, ssl_context=ssl.create_default_context()) as pool,
            pool.stream(method, url, headers=list(given.items()), content=body or None) as response,
        ):
            yield response
    except (httpcore.TimeoutException, TimeoutError) as e:
        raise Unreachable(f"url: took longer than {limits.seconds:.0f} seconds. {_ASK}") from e
    except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError) as e:
        raise Unreachable(f"url: {e or type(e).__name__}. {_ASK}") from e


def _store(response: httpcore.Response, partial: Path, limits: Limits) -> None:
    size = 0
    with partial.open("wb") as f:
        for chunk in response.iter_stream():
            size += len(chunk)
            if size > limits.most_bytes:
                raise _too_large(limits)
            f.write(chunk)


def _taken_apart(url: str) -> str:
    """The Host header for an address that may be asked."""
    try:
        parts = urlsplit(url)
        port, name = parts.port, parts.hostname
    except ValueError as e:
        raise InputError(f"url: is no address ({e}). Fix: such as https://example.com/pictures.zip") from e
    if parts.scheme not in ("http", "https") or not name or not url.isascii() or not url.isprintable() or " " in url:
        raise InputError("url: is no http or https address. Fix: such as https://example.com/pictures.zip")
    if parts.username is not None or parts.password is not None:
        raise InputError("url: holds a user or a password. Fix: leave them out")
    host = f"[{name}]" if ":" in name else name
    return f"{host}:{port}" if port else host


def _left(deadline: float) -> float:
    if (seconds := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return seconds


def _header(response: httpcore.Response, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in response.headers if key.lower() == name), "")


def _named(disposition: str) -> str:
    if not disposition:
        return ""
    message = Message()
    message["Content-Disposition"] = disposition
    return message.get_filename() or ""


def _too_large(limits: Limits) -> InputError:
    return InputError(f"url: is larger than {limits.most_bytes / 1e6:.0f} MB. Fix: allow more in the settings")
