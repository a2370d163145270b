"""Connections that reach addresses which were looked at, and no other; all of it until a deadline.

Apart from `outside`, which imports it when something is asked for: most servers never ask for anything.
"""

import socket
import ssl
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

import httpcore

from likeness import __version__
from likeness.errors import InputError
from likeness.studio.outside import ASK, Limits, Unreachable, is_public, taken_apart

CONNECT_SECONDS = 10.0


@contextmanager
def request(
    method: str, url: str, limits: Limits, deadline: float, body: bytes = b"", headers: dict[str, str] | None = None
) -> Generator[httpcore.Response]:
    """The answer to one request, while the block lasts. Raises InputError for an address that is refused, Unreachable
    where nobody is there or it takes until `deadline`."""
    host = taken_apart(url)
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
        raise Unreachable(f"url: took longer than {limits.seconds:.0f} seconds. {ASK}") from e
    except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError) as e:
        raise Unreachable(f"url: {e or type(e).__name__}. {ASK}") from e


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


def _left(deadline: float) -> float:
    if (seconds := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return seconds
