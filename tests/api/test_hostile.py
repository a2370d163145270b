"""Requests by somebody who means harm: paths that climb, bodies that are too large, broken or deep."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from likeness.api.app import MOST_BODY_BYTES, PREFIX
from likeness.studio.workspace import Studio
from tests.api.furnished import furnish

CLIMBS = (
    "../../../../../../../../etc/passwd", "..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/studio.db",
    "..\\..\\studio.db", "....//....//etc/passwd", "/etc/passwd", "%00", "a%00.png", "studio.db", "../studio.db",
    "C:\\Windows\\win.ini", "%c0%ae%c0%ae/etc/passwd", "~root", "\u202e.png",
)  # fmt: skip


@pytest.fixture
def known(studio: Studio, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "secret.txt").write_text("SECRET")
    return furnish(studio, tmp_path)


def named(client: TestClient, known: dict[str, str], methods: set[str]) -> Iterator[tuple[str, str, str]]:
    """Method, path with one `{}` and its name, for each name in each path; the others lead to what is there."""
    for route in iter_route_contexts(client.app.routes):  # type: ignore[attr-defined]
        names = list(getattr(route, "param_convertors", None) or {})
        for method in set(route.methods or ()) & methods:
            for hole in names:
                path = str(route.path)
                for name in names:
                    value = "{}" if name == hole else known.get("run" if name == "name" else name, "x")
                    path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
                yield method, path, hole


def test_no_path_leads_out_of_the_workspace(client: TestClient, known: dict[str, str]) -> None:
    tried = 0
    for method, path, _ in named(client, known, {"GET"}):
        for climb in CLIMBS:
            answer = client.request(method, path.format(climb), follow_redirects=False)
            tried += 1
            assert answer.status_code < 500, (path, climb, answer.text[:300])
            content = answer.content
            assert b"root:" not in content and b"SECRET" not in content and b"SQLite format" not in content, path
    assert tried > 500


@pytest.mark.long
def test_nothing_is_written_outside_of_the_workspace(client: TestClient, known: dict[str, str], tmp_path: Path) -> None:
    def outside() -> set[str]:
        return {str(p) for p in tmp_path.rglob("*") if not p.is_relative_to(tmp_path / "workspace")}

    before = outside()
    for method, path, hole in named(client, known, {"PUT", "POST", "DELETE", "PATCH"}):
        if hole in ("number", "epoch", "index", "layout"):
            continue
        for climb in CLIMBS:
            headers = {"Content-Type": "application/octet-stream"} if method == "PUT" else {}
            body = {"content": b"x"} if method == "PUT" else {"json": {}}
            answer = client.request(method, path.format(climb), headers=headers, **body)  # type: ignore[arg-type]
            assert answer.status_code < 500, (method, path, climb, answer.text[:300])
    assert outside() == before and (tmp_path / "secret.txt").read_text() == "SECRET"


def test_json_that_is_too_large_broken_or_deep_is_refused(client: TestClient) -> None:
    def post(content: bytes, **headers: str) -> tuple[int, str]:
        sent = {"Content-Type": "application/json", **headers}
        answer = client.post(f"{PREFIX}/jobs/seen", content=content, headers=sent)
        return answer.status_code, answer.headers["content-type"]

    told = "application/problem+json"
    large = b'{"jobs": ["' + b"x" * MOST_BODY_BYTES + b'"]}'
    assert post(large) == (413, told)
    assert post(large, **{"Idempotency-Key": "k"}) == (413, told)
    deep = b'{"jobs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    for bad in (b"", b"{", b"null", b"[]", b'"x"', b'{"jobs": NaN}', b"\xff\xfe", deep, b'{"jobs": ["\\ud800"]}'):
        for headers in ({}, {"Idempotency-Key": bad[:8].hex() or "empty"}):
            status, kind = post(bad, **headers)
            assert status in (400, 422) and kind == told, (bad[:20], headers, status)


def test_json_that_comes_in_chunks_without_end_is_cut_off(client: TestClient) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b'{"jobs": ["'
        for _ in range(200):
            sent += 65536
            yield b"x" * 65536

    answer = client.post(f"{PREFIX}/jobs/seen", content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413 and answer.json()["status"] == 413


def test_words_of_strangers_come_back_as_data_and_never_as_a_page(client: TestClient) -> None:
    evil = "<script>alert(1)</script>"
    made = client.post(f"{PREFIX}/datasets", json={"name": evil})
    for answer in (made, client.get(f"{PREFIX}/datasets/{evil}"), client.get(f"{PREFIX}/jobs/{evil}")):
        assert "json" in answer.headers["content-type"] and answer.headers["x-content-type-options"] == "nosniff"
    if made.status_code == 201:
        page = client.get(f"/datasets/{json.loads(made.text)['id']}")
        assert evil not in page.text
