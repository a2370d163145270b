"""Requests to addresses that somebody typed: they reach the internet, not this machine or the network it is in.

A name is resolved once, all its addresses are looked at, and the connection goes to one of those that were looked at;
so a name that resolves to something else a moment later gains nothing. Redirects pass the same way. No proxy of the
environment is used, for it would resolve the name itself.
"""

import ipaddress
import re
import time
from dataclasses import dataclass
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from likeness import durable
from likeness.errors import InputError

if TYPE_CHECKING:
    from httpcore import Response

MOST_REDIRECTS = 5
ASK = "Fix: check the address, or ask whoever runs that server"
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
    from likeness.studio.connecting import request

    limits = limits or Limits()
    deadline = time.monotonic() + limits.seconds
    for _ in range(MOST_REDIRECTS + 1):
        with request("GET", url, limits, deadline) as response:
            if response.status in (301, 302, 303, 307, 308):
                url = urljoin(url, _header(response, b"location"))
                continue
            if response.status != 200:
                raise InputError(f"url: the server answered {response.status}. {ASK}")
            told = _header(response, b"content-length")
            if told.isdigit() and int(told) > limits.most_bytes:
                raise _too_large(limits)
            durable.write_with(into, lambda partial: _store(response, partial, limits))
            name = _named(_header(response, b"content-disposition")) or unquote(PurePosixPath(urlsplit(url).path).name)
            kind = _header(response, b"content-type").partition(";")[0].strip().lower()
            return Fetched(re.split(r"[/\\]", name)[-1].replace("\x00", ""), into.stat().st_size, kind)
    raise InputError(f"url: leads on more than {MOST_REDIRECTS} times. {ASK}")


def post(url: str, body: bytes, headers: dict[str, str], limits: Limits) -> Reply:
    """POST `body`; redirects are not followed. Raises InputError as `fetch` does, Unreachable where nobody is there."""
    from likeness.studio.connecting import request

    with request("POST", url, limits, time.monotonic() + limits.seconds, body, headers) as response:
        start = bytearray()
        for chunk in response.iter_stream():
            start += chunk
            if len(start) > limits.most_bytes:
                break
        return Reply(response.status, bytes(start[: limits.most_bytes]))


def check_url(url: str) -> None:
    """Raises InputError for what is no plain http or https address. Where it leads is seen when it is used."""
    taken_apart(url)


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


def _store(response: "Response", partial: Path, limits: Limits) -> None:
    size = 0
    with partial.open("wb") as f:
        for chunk in response.iter_stream():
            size += len(chunk)
            if size > limits.most_bytes:
                raise _too_large(limits)
            f.write(chunk)


def taken_apart(url: str) -> str:
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


def _header(response: "Response", name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in response.headers if key.lower() == name), "")


def _named(disposition: str) -> str:
    if not disposition:
        return ""
    message = Message()
    message["Content-Disposition"] = disposition
    return message.get_filename() or ""


def _too_large(limits: Limits) -> InputError:
    return InputError(f"url: is larger than {limits.most_bytes / 1e6:.0f} MB. Fix: allow more in the settings")
