"""Every operation of the OpenAPI document, asked for with what it allows and with what it does not.

`make fuzz-api` asks much more often, and each time something else.
"""

import functools
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.python import asgi

from likeness.api.app import PREFIX, create_app
from likeness.api.gate import Access
from likeness.studio.workspace import Studio
from tests.api.furnished import furnish
from tests.studio.runs_at_hand import a_machine

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
load_all_checks()
KEPT = CHECKS.get_by_names([
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "response_headers_conformance",
])  # fmt: skip
HEADS = [check for check in KEPT if check.__name__ != "content_type_conformance"]  # what has no content has no type


@dataclass
class Tried:
    studio: Studio
    app: Any
    operations: dict[str, Any]  # by method and path
    folder: tempfile.TemporaryDirectory[str]  # goes with the process


@functools.cache
def tried() -> Tried:
    """One server with a workspace of its own."""
    folder = tempfile.TemporaryDirectory(prefix="likeness-openapi-")
    studio = Studio(Path(folder.name))
    app = create_app(studio, access=Access(frozenset({"testserver"})))
    schema = schemathesis.openapi.from_asgi(f"{PREFIX}/openapi.json", app)
    return Tried(studio, app, {found.ok().label: found.ok() for found in schema.get_all_operations()}, folder)


@pytest.fixture(scope="module", autouse=True)
def client() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch, asgi.get_client(tried().app, max_stream_events=20) as client:
        a_machine(patch)
        yield client


def there(path: str, known: dict[str, str]) -> dict[str, str]:
    """Values for the names in a path that lead to something."""
    rooms = {f"{PREFIX}/datasets": "picture", f"{PREFIX}/voice-runs": "voice_run"}
    own = {"name": known[next((key for room, key in rooms.items() if path.startswith(room)), "run")]}
    return {**known, **own}


def cases() -> Iterator[Any]:
    """Each operation in the right way; in the wrong way where there is more to it than names in an address."""
    for label, operation in tried().operations.items():
        yield pytest.param(label, GenerationMode.POSITIVE, id=label)
        if operation.body or operation.query:
            yield pytest.param(label, GenerationMode.NEGATIVE, id=f"{label}, wrong")


@pytest.mark.parametrize(("label", "mode"), list(cases()))
def test_no_request_breaks_the_server_and_answers_are_as_documented(
    label: str, mode: GenerationMode, client: Any, tmp_path: Path
) -> None:
    operation, right = tried().operations[label], mode == GenerationMode.POSITIVE
    known = there(operation.path, furnish(tried().studio, tmp_path)) if right else {}

    @settings(
        max_examples=EXAMPLES or 3, derandomize=not EXAMPLES, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode), lost=st.integers(0, 4))
    def check(case: Any, lost: int) -> None:
        if known and lost:  # one in five leads nowhere
            case.path_parameters = {name: known.get(name, value) for name, value in case.path_parameters.items()}
        case.call_and_validate(checks=HEADS if case.method == "HEAD" else KEPT, session=client)

    try:
        check()
    except Unsatisfiable:
        assert not right  # it takes nothing that could be wrong


def test_no_unknown_field_is_taken_in_silence() -> None:
    document = tried().app.openapi()
    taken = [
        f"{method.upper()} {path}: {name}"
        for path, found in document["paths"].items()
        for method, operation in found.items()
        for name in _open(document, operation.get("requestBody", {}).get("content", {}).get("application/json", {}))
    ]
    assert taken == []


def _open(document: Any, tree: Any, seen: tuple[str, ...] = ()) -> Iterator[str]:
    """Names of declared objects, in a schema and all that it names, that take fields which are not declared."""
    if isinstance(tree, dict):
        if (name := tree.get("$ref", "")) and name not in seen:
            yield from _open(document, document["components"]["schemas"][name.rpartition("/")[2]], (*seen, name))
        if "properties" in tree and tree.get("additionalProperties") is not False:
            yield tree.get("title", "?")
    for inner in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _open(document, inner, seen)
