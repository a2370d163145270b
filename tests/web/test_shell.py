"""The frame of all pages: static files, errors, the policy, vendored scripts."""

import hashlib
import re

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from markupsafe import Markup

from likeness.errors import Conflict
from likeness.web.filters import ago, attributes, date, duration, size
from likeness.web.pages import STATIC, asset, digest
from tests.web.conftest import FROM_PAGE


def test_a_page_names_only_files_that_are_there_and_kept_for_ever(client: TestClient):
    page = client.get("/")
    assert page.status_code == 200 and page.headers["cache-control"] == "no-store"
    files = set(re.findall(r'(?:src|href)="(/static/[^"#]*)', page.text))
    assert len(files) > 8
    for file in files:
        found = client.get(file)
        assert found.status_code == 200 and "immutable" in found.headers["cache-control"], file


def test_an_old_address_of_a_file_is_not_kept(client: TestClient):
    assert client.get("/static/000000000000/style.css").headers["cache-control"] == "no-cache"


def test_static_files_do_not_lead_out(client: TestClient):
    for path in ("../pages.py", "%2e%2e/pages.py", "..%2fpages.py", "vendor/../../pages.py", "/etc/passwd", ""):
        assert client.get(f"/static/{digest()}/{path}").status_code == 404, path


def test_pages_run_scripts_of_this_server_alone(client: TestClient):
    policy = dict(part.strip().split(" ", 1) for part in client.get("/").headers["content-security-policy"].split(";"))
    assert policy["script-src"] == "'self'" and policy["default-src"] == "'self'" and policy["object-src"] == "'none'"


def test_what_is_vendored_is_what_was_published():
    rows = [line.split("  ") for line in (STATIC / "vendor/VERSIONS").read_text().splitlines()[2:]]
    assert {row[1] for row in rows} == {path.name for path in (STATIC / "vendor").glob("*.js")}
    for sha256, name, _, _, licence in rows:
        assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == sha256
        assert (STATIC / "vendor" / re.findall(r"\((.+)\)", licence)[0]).is_file()


def test_a_missing_page_is_told_in_the_studio_s_look(client: TestClient):
    found = client.get("/nowhere", headers={"Accept": "text/html"})
    assert found.status_code == 404 and "<main" in found.text and "text/html" in found.headers["content-type"]
    assert client.get("/api/v1/nowhere").headers["content-type"] == "application/problem+json"


def test_an_error_is_a_toast_for_htmx_and_escaped(client: TestClient):
    app = client.app
    assert isinstance(app, FastAPI)

    def refused() -> None:
        raise Conflict("name: <b>taken</b>. Fix: choose another")

    app.add_api_route("/refused", refused)
    found = client.get("/refused", headers=FROM_PAGE)
    assert found.status_code == 409 and found.headers["hx-reswap"] == "none"
    assert 'hx-target="toast-box"' in found.text and "&lt;b&gt;taken" in found.text and "<b>" not in found.text
    assert "<main" in client.get("/refused").text


def test_a_mistake_of_ours_is_told_without_its_words(client: TestClient):
    app = client.app
    assert isinstance(app, FastAPI)

    def broken() -> None:
        raise ZeroDivisionError("secret words")

    app.add_api_route("/broken", broken)
    quiet = TestClient(app, base_url=str(client.base_url), raise_server_exceptions=False)
    found = quiet.get("/broken")
    assert found.status_code == 500 and "ZeroDivisionError" in found.text and "secret words" not in found.text


def test_an_asset_that_is_not_there_is_noticed():
    assert asset("style.css").endswith("/style.css")
    with pytest.raises(FileNotFoundError):
        asset("no-such.css")


def test_numbers_are_written_for_people():
    assert [size(n) for n in (0, 999, 1000, 1234, 34_000_000, 999_900_000)] == [
        "0 B", "999 B", "1.0 kB", "1.2 kB", "34 MB", "1.0 GB"]  # fmt: skip
    assert [duration(s) for s in (0.4, 45, 89, 90, 3600, 4800, 90_000)] == [
        "0 s", "45 s", "89 s", "2 min", "1 h", "1 h 20 min", "1 d 1 h"]  # fmt: skip


def test_moments_are_told_as_long_ago(monkeypatch: pytest.MonkeyPatch):
    now = 1_800_000_000.0
    monkeypatch.setattr("likeness.web.filters.time.time", lambda: now)
    assert [ago(now - s) for s in (0, 60, 240, 3599, 3600, 7300, 86_400 * 2)] == [
        "just now", "1 min ago", "4 min ago", "1 h ago", "1 h ago", "2 h ago", "2 d ago"]  # fmt: skip
    assert ago(now - 30 * 86_400) == date(now - 30 * 86_400)[:10]


def test_attributes_cannot_be_left():
    found = attributes({"a": '"><script>', "hx-vals": {"x": 'y"z'}, "b": None, "c": False, "d": True, "e": Markup('"')})
    assert found == (' a="&#34;&gt;&lt;script&gt;" hx-vals="{&#34;x&#34;: &#34;y\\&#34;z&#34;}" d="" e="&#34;"')
