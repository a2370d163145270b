"""Who may come in: looked at for every request, before any route or mount sees it.

Loopback is no boundary: any page in a browser can send requests to 127.0.0.1, and a name can be made to resolve to it.
So Host must be one of ours, what changes something must not come from another page, and bodies must be of types that no
foreign form can send. API keys come on top, where they are on.
"""

import ipaddress
import socket
import time
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlsplit

from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from likeness.api.problems import problem
from likeness.studio import keys, trust
from likeness.studio.workspace import Studio

COOKIE = "likeness_key"
# All that is open without a key, where keys are on: these paths, and what lies under those that end in a slash.
FREE = ("/login", "/healthz", "/static/", "/shared/")
ADMIN = ("/api/v1/keys", "/api/v1/settings", "/settings")  # these paths and what lies under them
SAFE = ("GET", "HEAD", "OPTIONS")
FORM = "application/x-www-form-urlencoded"
# What a PUT may carry besides JSON: a file as it is. No form can send a PUT.
RAW = (
    "application/octet-stream", "application/zip", "application/x-zip-compressed", "application/x-tar",
    "application/gzip", "application/x-gzip", "text/plain", "text/csv", "application/jsonl", "application/x-ndjson",
)  # fmt: skip
RAW_KINDS = ("image/", "audio/")

WRONG_KEYS, WINDOW_SECONDS = 10, 60.0  # different wrong keys from one address, after which it has to wait
MOST_ADDRESSES = 10_000  # that are remembered

# For whatever says nothing of its own, as JSON and pictures; pages have a policy that lets them be pages.
_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True)
class Access:
    """How this server may be reached: by which names (lower case, without port), and whether a key is needed.

    `addresses`: by any IP address as well. That is safe: only names can be made to point elsewhere.
    """

    names: frozenset[str] = frozenset({"127.0.0.1", "localhost", "::1"})
    addresses: bool = False
    keys: bool = False

    @classmethod
    def bound(cls, host: str, *, keys: bool = False, also: Iterable[str] = ()) -> "Access":
        """For a server bound to `host`; beyond loopback a key is always needed. `also`: names that a proxy has."""
        names = set(cls.names) | {name.lower() for name in also}
        if is_loopback(host):
            return cls(frozenset(names | {host.lower()}), keys=keys)
        everywhere = host in ("", "0.0.0.0", "::")
        if everywhere:
            own = socket.gethostname().lower()
            names |= {own, f"{own}.local", socket.getfqdn().lower()}
        return cls(frozenset(names | ({host.lower()} - {""})), addresses=everywhere, keys=True)

    def knows(self, name: str) -> bool:
        return name in self.names or (self.addresses and _is_address(name))


@dataclass(frozen=True)
class Caller:
    """Who asks: a key's id and what it may; without keys, whoever sits at the machine."""

    id: str = "local"
    scopes: tuple[str, ...] = keys.SCOPES


@dataclass
class WrongKeys:
    """Counts the different wrong keys of each address, so that nobody can try many. The same one again counts once."""

    _seen: dict[str, dict[bytes, float]] = field(default_factory=dict[str, dict[bytes, float]])

    def add(self, address: str, secret: str) -> None:
        if len(self._seen) >= MOST_ADDRESSES:
            self._seen = {a: tries for a in self._seen if (tries := self._recent(a))}
            if len(self._seen) >= MOST_ADDRESSES:
                self._seen.clear()
        tries = self._recent(address)
        tries[sha256(secret.encode("utf-8", "surrogateescape")).digest()] = time.monotonic()
        self._seen[address] = tries

    def wait(self, address: str) -> float:
        """Seconds until this address may try again; 0 for at once."""
        tries = self._recent(address)
        if len(tries) < WRONG_KEYS:
            return 0.0
        return max(0.0, sorted(tries.values())[-WRONG_KEYS] + WINDOW_SECONDS - time.monotonic())

    def _recent(self, address: str) -> dict[bytes, float]:
        start = time.monotonic() - WINDOW_SECONDS
        return {digest: when for digest, when in self._seen.get(address, {}).items() if when > start}


class Gate:
    """ASGI middleware. What passed has a Caller in `request.state.caller`."""

    def __init__(self, app: ASGIApp, studio: Studio, access: Access, wrong_keys: WrongKeys):
        self.app, self.studio, self.access, self.wrong_keys = app, studio, access, wrong_keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no WebSockets here
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        answer = (
            self._foreign(scope, headers) or wrong_body(scope["method"], headers) or await self._keyless(scope, headers)
        )

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    given.setdefault(name, value)
            await send(message)

        caller: Caller | None = scope.get("state", {}).get("caller")
        trusted = not self.access.keys or (caller is not None and "admin" in caller.scopes)
        with nullcontext() if trusted else trust.from_elsewhere():
            await (answer or self.app)(scope, receive, told)

    def _foreign(self, scope: Scope, headers: Headers) -> Response | None:
        """A request under another's name, or from another's page."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or (name := _name(hosts[0])) is None:
            return problem(400, "Host: must be there once. Fix: ask with a usual HTTP client")
        if not self.access.knows(name):
            return problem(
                421, f"Host: '{name}' is not this server. Fix: use its address, or start it with --allow-host {name}"
            )
        if scope["method"] in SAFE:
            return None
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        if (origin is not None and not same_origin(origin, hosts[0])) or site not in ("same-origin", "none"):
            return problem(403, "Origin: another page may change nothing here. Fix: use this server's own pages")
        return None

    async def _keyless(self, scope: Scope, headers: Headers) -> Response | None:
        """A request without the key that it needs; else notes who asks."""
        state = scope.setdefault("state", {})
        path = scope["path"]
        if not self.access.keys:
            state["caller"] = Caller()
            return None
        if is_free(path):
            state["caller"] = Caller("nobody", ())
            return None
        secret = given_key(headers)
        if secret is None:
            return _refused(scope, headers, "a key is needed. Fix: send it as X-API-Key, or sign in at /login")
        address = client_address(scope)
        if seconds := self.wrong_keys.wait(address):
            words = f"too many wrong keys. Fix: wait {seconds:.0f} seconds"
            return problem(429, words, headers={"Retry-After": str(int(seconds) + 1)})
        key = await to_thread.run_sync(keys.check, self.studio, secret)
        if key is None:
            self.wrong_keys.add(address, secret)
            return _refused(scope, headers, "this key is wrong or revoked. Fix: make a new one: likeness keys create")
        needed = needed_scope(scope["method"], path)
        if needed not in key.scopes:
            return problem(
                403, f"the key '{key.name}' may not do this. Fix: use one made with --scope {needed}", headers=_NO_STORE
            )
        state["caller"] = Caller(key.id, tuple(key.scopes))
        return None


_NO_STORE = {"Cache-Control": "no-store"}


def is_free(path: str) -> bool:
    return any(path == free or (free.endswith("/") and path.startswith(free)) for free in FREE)


def needed_scope(method: str, path: str) -> keys.Scope:
    """What a key must allow for a request."""
    if any(path == admin or path.startswith(f"{admin}/") for admin in ADMIN):
        return "admin"
    return "read" if method in SAFE else "write"


def same_origin(origin: str, host: str) -> bool:
    """Whether a page of `origin` is one of this server, which was called `host`. The scheme may be a proxy's."""
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def wrong_body(method: str, headers: Headers) -> Response | None:
    """A body of a type that a foreign page could send, or that nothing here reads."""
    has_body = headers.get("transfer-encoding") or headers.get("content-length", "0") != "0"
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if method in SAFE or (not has_body and not kind) or kind == "application/json":
        return None
    if kind == FORM and headers.get("hx-request") == "true" and headers.get("origin"):
        return None  # our own page: that it is was checked by its Origin
    if method == "PUT" and (not kind or kind in RAW or kind.startswith(RAW_KINDS)):
        return None
    fix = "send a file by PUT as application/octet-stream" if method == "PUT" else "send JSON as application/json"
    return problem(415, f"Content-Type: '{kind}' is not taken here. Fix: {fix}")


def given_key(headers: Headers) -> str | None:
    """The key that a request carries: X-API-Key, Authorization: Bearer, or the cookie of a browser."""
    if key := headers.get("x-api-key"):
        return key.strip()
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return cookie.value if cookie and cookie.value else None


def client_address(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else "unknown"


def sign_in(request: Request, secret: str, response: Response) -> Response:
    """For the login page: `response` with the key in a cookie that scripts cannot read and other pages do not send; or
    the problem, for a wrong key."""
    wrong_keys: WrongKeys = request.app.state.wrong_keys
    address = client_address(request.scope)
    if seconds := wrong_keys.wait(address):
        return problem(429, f"key: too many wrong ones. Fix: wait {seconds:.0f} seconds")
    if keys.check(request.app.state.studio, secret.strip()) is None:
        wrong_keys.add(address, secret)
        return problem(401, "key: is wrong or revoked. Fix: make a new one: likeness keys create")
    response.set_cookie(
        COOKIE,
        secret.strip(),
        max_age=30 * 86400,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


def sign_out(response: Response) -> None:
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name(host: str) -> str | None:
    """The name in a Host header, without its port; None where it is no host."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises for what is no port
    except ValueError:
        return None
    plain = parts.netloc == host and not parts.path and "@" not in host
    return parts.hostname.rstrip(".") if plain and parts.hostname else None


def _refused(scope: Scope, headers: Headers, words: str) -> Response:
    """For programs a problem, for people the login page."""
    if scope["method"] in SAFE and "text/html" in headers.get("accept", ""):
        path = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
        return RedirectResponse(f"/login?next={quote(path, safe='')}", 303, _NO_STORE)
    extra = {"HX-Redirect": "/login"} if headers.get("hx-request") == "true" else {}
    return problem(401, words, headers={"WWW-Authenticate": "Bearer", **_NO_STORE, **extra})
