"""`likeness serve`: the studio as a server, with the queue."""

import contextlib
import ctypes
import errno
import os
import signal
import socket
import sys
import threading
import time
import webbrowser
from pathlib import Path
from typing import Annotated

import uvicorn
from cyclopts import App, Parameter
from rich.markup import escape

from likeness.api.app import create_app
from likeness.api.gate import Access, is_loopback
from likeness.cli import Workspace, screen
from likeness.errors import InputError
from likeness.service.machine import devices
from likeness.studio import bin, keys, queue, uploads
from likeness.studio.endings import ENDINGS
from likeness.studio.notices import Notices
from likeness.studio.supervisor import Supervisor
from likeness.studio.workspace import Studio

PORT = 8188
TIDY_SECONDS = 86_400
_M_ARENA_MAX = -8  # of mallopt(3)
GRACE_SECONDS = 3  # for requests under way when the server is asked to end
_EXAMPLES = "Examples:\n\n" + "\n\n".join((
    "likeness serve",
    "likeness serve --workspace /data/runs --port 9000 --no-open",
    "likeness serve --host 0.0.0.0 --create-key",
    "likeness serve --host 0.0.0.0 --allow-host studio.example.org",
))  # fmt: skip

serve = App(name="serve", help_epilogue=_EXAMPLES)


@serve.default
def run(
    *,
    host: Annotated[str, Parameter(help="Address to listen at; 0.0.0.0 for all of this machine.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen at; 0 for any that is free.")] = PORT,
    workspace: Workspace = Path("runs"),
    open_: Annotated[bool, Parameter(name="--open", negative="--no-open", help="Open it in the browser.")] = True,
    require_key: Annotated[
        bool, Parameter(negative="", help="Want a key from programs and people of this machine too.")
    ] = False,
    create_key: Annotated[
        bool, Parameter(negative="", help="Make a key that may do everything, and print it.")
    ] = False,
    allow_host: Annotated[
        list[str] | None, Parameter(negative="", help="Another name that this server has, such as a proxy's. Repeat.")
    ] = None,
) -> int:
    """Open the studio: train, compare and generate in the browser, over REST and through MCP.

    Only this machine can reach it, unless --host says otherwise; then a key is needed. Ctrl-C ends the server; what it
    trains goes on, and the next `likeness serve` finds it again.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended by a service manager: as by Ctrl-C
    _share_heaps()
    studio = Studio(workspace)
    try:
        with _listen(host, port) as listening:
            address = _address(host, listening.getsockname()[1])
            supervisor = Supervisor(studio, [], ENDINGS, [Notices(studio, address)])
            try:
                access = Access.bound(host, keys=require_key, also=allow_host or ())
                _tell(studio, address, _key(studio, access, host, create_key))
                supervisor.start()
                threading.Thread(target=_find_devices, args=(supervisor,), daemon=True).start()
                threading.Thread(target=_tidy, args=(studio,), daemon=True).start()
                if open_ and _has_display():
                    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
                _serve(studio, access, listening)
            finally:
                supervisor.stop()
        _say_what_goes_on(studio)
    finally:
        studio.close()
    return 0


def _key(studio: Studio, access: Access, host: str, create: bool) -> str | None:
    """A new key where one is asked for. Raises InputError where one is needed and there is none."""
    if create:
        return keys.create(studio, f"made {time.strftime('%Y-%m-%d %H:%M:%S')}", "admin")[1]
    if access.keys and not keys.any_work(studio):
        what = "it wants a key" if is_loopback(host) else f"at {host} other machines can reach it"
        raise InputError(
            f"--host: {what}, and there is no key yet. Fix: add --create-key, or make one with "
            f"`likeness keys create NAME --workspace {studio.workspace}`"
        )
    return None


def _serve(studio: Studio, access: Access, listening: socket.socket) -> None:
    """Until Ctrl-C or the end is asked for."""
    config = uvicorn.Config(
        create_app(studio, access=access),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who asks is who connects: what a header says of it could be anything
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises InputError where that is not possible."""
    if not 0 <= port <= 65535:
        raise InputError(f"--port: {port} is none. Fix: from 1024 to 65535, such as {PORT}")
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (socket.gaierror, UnicodeError) as e:
        raise InputError(f"--host: '{host}' has no address. Fix: 127.0.0.1, or an address of this machine") from e
    found = socket.socket(family, kind)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(place)
        found.listen(2048)
    except OSError as e:
        found.close()
        if e.errno == errno.EADDRINUSE:
            words = f"--port: {port} is taken by another program. Fix: stop that, or choose another: --port {port + 1}"
        elif e.errno in (errno.EACCES, errno.EPERM):
            words = f"--port: {port} is for administrators. Fix: choose another, such as --port {PORT}"
        else:
            words = f"--host: {host} cannot be listened at ({e.strerror}). Fix: an address of this machine"
        raise InputError(words) from e
    return found


def _address(host: str, port: int) -> str:
    """Where a browser of this machine finds it."""
    name = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "localhost"}.get(host, host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _tell(studio: Studio, address: str, key: str | None) -> None:
    screen.print(f"Likeness is at [bold cyan]{address}[/]  (Ctrl-C ends it)")
    screen.print(f"Workspace: {escape(str(studio.workspace))}", soft_wrap=True)
    if key:
        screen.print(f"Key, shown this once: [bold]{key}[/]", soft_wrap=True)
    if going := queue.listed(studio, states=["running"]):
        screen.print(f"Found again: {_titles([job.title for job in going])}")
    sys.stdout.flush()  # a service manager's log has it at once


def _say_what_goes_on(studio: Studio) -> None:
    going = [job.title for job in queue.listed(studio, states=["running"])]
    waiting = len(queue.listed(studio, states=["queued"], limit=queue.MOST_WAITING))
    words = [f"{_titles(going)} {'goes' if len(going) == 1 else 'go'} on without the server"] if going else []
    words += [f"{waiting} in the queue wait{'s' if waiting == 1 else ''} for the next"] if waiting else []
    screen.print(f"The server has ended{'; ' if words else ''}{' and '.join(words)}.", soft_wrap=True)


def _titles(titles: list[str], most: int = 5) -> str:
    more = f" and {len(titles) - most} more" if len(titles) > most else ""
    return escape(", ".join(f"'{title}'" for title in titles[:most])) + more


def _share_heaps() -> None:
    """Have all threads allocate from two heaps: glibc gives each of forty its own, and keeps what is freed there."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def _find_devices(supervisor: Supervisor) -> None:
    """Asking torch takes seconds; pages need not wait for it."""
    supervisor.devices = devices()
    supervisor.studio.woken.set()


def _tidy(studio: Studio) -> None:
    """Let go, once a day, of what was deleted long ago and of uploads that nobody went on with."""
    while True:
        try:
            bin.sweep(studio)
            uploads.sweep(studio)
        except Exception as e:  # a full disk, say; the server goes on
            print(f"tidying: {type(e).__name__}: {e}", flush=True)
        time.sleep(TIDY_SECONDS)


def _has_display() -> bool:
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
