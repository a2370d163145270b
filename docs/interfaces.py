"""The reference pages of the REST interface and of the tools for agents, from the applications themselves."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs.markdown import code, table
from likeness.api.app import PREFIX, create_app
from likeness.studio.workspace import Studio

METHODS = ("get", "post", "put", "patch", "delete", "head")
_REST_WORDS = f"""\
`likeness serve` answers under `{PREFIX}`; its OpenAPI description is at `{PREFIX}/openapi.json`. The pages call the
same functions, so whatever can be clicked can be called.

- Bodies are JSON; files are the raw body of a `PUT`. Unknown fields are refused with 422.
- Errors are `application/problem+json`: `errors` lists `field`, `message` and `fix`.
- A `POST` with an `Idempotency-Key` is done once; asked again, it gives the same answer.
- With keys on (always so beyond this machine), each request carries `X-API-Key` or `Authorization: Bearer`.
- Lists of events are streams (SSE); `Last-Event-ID` goes on where a client left."""
_MCP_WORDS = """\
`likeness mcp` speaks on standard input and output, `likeness serve` at `/mcp/`. Tools answer with structured results;
those that draw return pictures too."""


def rest_page(notice: str) -> str:
    """Every route by noun, and what its body may hold."""
    with tempfile.TemporaryDirectory() as place:
        studio = Studio(Path(place))
        tree: dict[str, Any] = create_app(studio).openapi()
        studio.close()
    tags: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, operations in tree["paths"].items():
        for method in METHODS:
            if operation := operations.get(method):
                tags.setdefault(operation.get("tags", ["other"])[0], []).append((method, path, operation))
    parts = [notice, "# REST", _REST_WORDS]
    for tag in sorted(tags):
        parts += [f"## {tag.capitalize()}", _routes(tags[tag]), *_bodies(tree, tags[tag])]
    return "\n\n".join(parts) + "\n"


def _routes(operations: list[tuple[str, str, dict[str, Any]]]) -> str:
    rows = [[code(f"{method.upper()} {path.removeprefix(PREFIX)}"), _told(o)] for method, path, o in operations]
    return table(("route", "what it does"), rows)


def _told(operation: dict[str, Any]) -> str:
    """The description; failing that, the function's name in words. Parameters of the query behind it."""
    words = " ".join(str(operation.get("description") or f"{operation['summary']}.").split())
    asked = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"]
    return words + (f" Query: {', '.join(f'`{name}`' for name in asked)}." if asked else "")


def _bodies(tree: dict[str, Any], operations: list[tuple[str, str, dict[str, Any]]]) -> Iterator[str]:
    for method, path, operation in operations:
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        schema = _resolved(tree, body)
        if not schema.get("properties"):
            continue
        rows = [
            [code(name), _kind(tree, value), "**needed**" if name in schema.get("required", ()) else _default(value),
             " ".join(str(value.get("description", "")).split())]
            for name, value in schema["properties"].items()
        ]  # fmt: skip
        yield f"Body of `{method.upper()} {path.removeprefix(PREFIX)}`:"
        yield table(("field", "type", "default", "what it is"), rows)


def _resolved(tree: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return tree["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema


def _kind(tree: dict[str, Any], value: dict[str, Any]) -> str:
    branches = [b for b in value.get("anyOf", [value]) if b.get("type") != "null"]
    found: list[str] = []
    for branch in branches:
        if "$ref" in branch:
            inner = _resolved(tree, branch)
            found.append(
                " or ".join(f"`{v}`" for v in inner["enum"]) if "enum" in inner else str(inner.get("title", ""))
            )
        elif "enum" in branch:
            found.append(" or ".join(f"`{v}`" for v in branch["enum"]))
        elif "const" in branch:
            found.append(f"`{branch['const']}`")
        elif branch.get("type") == "array":
            found.append(f"list of {_kind(tree, branch.get('items', {}))}")
        else:
            found.append(str(branch.get("type", "anything")))
    return " or ".join(dict.fromkeys(found)) or "anything"


def _default(value: dict[str, Any]) -> str:
    default = value.get("default")
    if default is None:
        return "unset"
    return (
        f"`{str(default).lower() if isinstance(default, bool) else default}`"
        if default not in ("", [], {})
        else "empty"
    )


def mcp_page(notice: str) -> str:
    """Every tool with its arguments."""
    from likeness.mcp.server import build

    with tempfile.TemporaryDirectory() as place:
        studio = Studio(Path(place))
        tools = asyncio.run(build(studio, local=True).list_tools())
        studio.close()
    parts = [notice, "# Tools for agents (MCP)", _MCP_WORDS]
    for tool in tools:
        schema: dict[str, Any] = tool.input_schema
        parts += [f"## {code(tool.name)}", " ".join((tool.description or "").split())]
        tree = {"components": {"schemas": schema.get("$defs", {})}}
        rows = [
            [code(name), _kind(tree, value), "**needed**" if name in schema.get("required", ()) else _default(value),
             " ".join(str(value.get("description", "")).split())]
            for name, value in schema.get("properties", {}).items()
        ]  # fmt: skip
        if rows:
            parts.append(table(("argument", "type", "default", "what it is"), rows))
    return "\n\n".join(parts) + "\n"
