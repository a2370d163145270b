"""Every operation of the OpenAPI document, asked for with what it allows and with what it does not.

`make fuzz-api` asks much more often, and each time something else.
"""

import functools
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from likeness.api.app import PREFIX, create_app
from likeness.api.gate import Access
from likeness.studio.workspace import Studio

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
load_all_checks()
KEPT = CHECKS.get_by_names([
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "response_headers_conformance",
])  # fmt: skip
# In an address all is text, and what is no number there may be a word: asked of those with a body alone.
STRICT = [*KEPT, *CHECKS.get_by_names(["negative_data_rejection"])]


@functools.cache
def operations() -> dict[str, Any]:
    """By method and path; of one server with a workspace of its own, whose folder goes with the process."""
    folder = tempfile.TemporaryDirectory(prefix="likeness-openapi-")
    app = create_app(Studio(Path(folder.name)), access=Access(frozenset({"testserver"})))
    app.state.folder = folder
    schema = schemathesis.openapi.from_asgi(f"{PREFIX}/openapi.json", app)
    return {found.ok().label: found.ok() for found in schema.get_all_operations()}


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
@pytest.mark.parametrize("label", operations())
def test_no_request_breaks_the_server_and_answers_are_as_documented(label: str, mode: GenerationMode) -> None:
    @settings(
        max_examples=EXAMPLES or 4, derandomize=not EXAMPLES, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operations()[label].as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        case.call_and_validate(checks=STRICT if case.operation.body else KEPT)

    try:
        check()
    except Unsatisfiable:
        assert mode == GenerationMode.NEGATIVE  # it takes nothing that could be wrong
