"""`likeness keys`: who may call the studio."""

import time
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.markup import escape
from rich.table import Table

from likeness.cli import Json, Workspace, print_json, screen
from likeness.store.tables import ApiKey
from likeness.studio import keys as studio_keys
from likeness.studio.workspace import Studio

_EXAMPLES = "Examples:\n\n" + "\n\n".join((
    "likeness keys create maya-pipeline",
    "likeness keys create dashboard --scope read",
    "likeness keys list",
    "likeness keys revoke maya-pipeline",
))  # fmt: skip

keys = App(name="keys", help_epilogue=_EXAMPLES)


@keys.command(help_epilogue="Examples:\n\nlikeness keys create maya-pipeline --scope write")
def create(
    name: str,
    /,
    *,
    scope: Annotated[
        studio_keys.Scope, Parameter(help="read looks; write also changes and trains; admin also makes keys.")
    ] = "write",
    workspace: Workspace = Path("runs"),
    json_: Json = False,
) -> int:
    """Make a key. It is shown this once; only its hash is kept."""
    studio = Studio(workspace)
    try:
        row, secret = studio_keys.create(studio, name, scope)
    finally:
        studio.close()
    print_json({**_as_json(row), "key": secret}, json_)
    if not json_:
        screen.print(f"Key '{escape(row.name)}', shown this once: [bold]{secret}[/]", soft_wrap=True)
        screen.print("Send it as the header X-API-Key, or sign in with it at /login.")
    return 0


@keys.command(name="list", help_epilogue="Examples:\n\nlikeness keys list --json")
def list_(*, workspace: Workspace = Path("runs"), json_: Json = False) -> int:
    """List the keys, with those that were revoked."""
    studio = Studio(workspace)
    try:
        found = studio_keys.listed(studio)
    finally:
        studio.close()
    print_json([_as_json(key) for key in found], json_)
    if json_:
        return 0
    if not found:
        screen.print("No keys. Make one with: likeness keys create NAME")
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "name", "may", "made", "last used", ""):
        table.add_column(heading)
    for key in found:
        state = "[red]revoked[/]" if key.revoked else ""
        table.add_row(key.id, escape(key.name), key.scopes[-1], _day(key.created), _day(key.used), state)
    screen.print(table)
    return 0


@keys.command(help_epilogue="Examples:\n\nlikeness keys revoke maya-pipeline")
def revoke(key: str, /, *, workspace: Workspace = Path("runs"), json_: Json = False) -> int:
    """Let a key, by id or by name, open nothing from now on."""
    studio = Studio(workspace)
    try:
        row = studio_keys.revoke(studio, key)
    finally:
        studio.close()
    print_json(_as_json(row), json_)
    if not json_:
        screen.print(f"'{escape(row.name)}' opens nothing any more.")
    return 0


def _as_json(key: ApiKey) -> dict[str, object]:
    names = ("id", "name", "scopes", "created", "used", "revoked")
    return {name: getattr(key, name) for name in names}


def _day(when: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(when)) if when else "never"
