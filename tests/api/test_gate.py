"""Who may come in. Routes are taken from the application itself, so that a new one cannot be forgotten."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Mount

from likeness.api import gate
from likeness.api.app import create_app
from likeness.api.gate import Access, WrongKeys, is_free
from likeness.studio import keys
from likeness.studio.workspace import Studio

HERE = "http://127.0.0.1:8188"


def doors(app: FastAPI) -> list[tuple[str, str]]:
    """Method and path of all there is, mounts included, with a stand-in for each name in a path."""
    found: list[tuple[str, str]] = []
    for route in iter_route_contexts(app.routes):
        path = str(route.path)
        for name in getattr(route, "param_convertors", None) or {}:
            path = path.replace(f"{{{name}}}", "x").replace(f"{{{name}:path}}", "x/y")
        methods = set(route.methods or {"GET", "POST", "DELETE"})  # a mount takes any
        place = f"{path}/thing" if isinstance(route.original_route, Mount) else path
        found += [(method, place) for method in sorted(methods - {"HEAD"})]
    return found


@pytest.fixture
def locked(studio: Studio) -> Iterator[TestClient]:
    """A client of a server that wants keys."""
    with TestClient(create_app(studio, access=Access(keys=True)), base_url=HERE) as found:
        yield found


def test_every_route_without_a_key_is_refused_but_the_few_that_are_free(locked: TestClient) -> None:
    seen = doors(locked.app)  # type: ignore[arg-type]
    free = [place for place in seen if is_free(place[1])]
    assert len(seen) > 20 and len(free) < len(seen) / 2
    open_doors = [
        (method, path) for method, path in seen if not is_free(path) and locked.request(method, path).status_code != 401
    ]
    assert open_doors == []


def test_what_is_free_is_this_list(locked: TestClient) -> None:
    free = {path for _, path in doors(locked.app) if is_free(path)}  # type: ignore[arg-type]
    assert {path.split("/")[1] for path in free} <= {"login", "healthz", "static", "shared"}
    assert not is_free("/loginx") and not is_free("/static") and not is_free("/healthz/x") and not is_free("/Login")


def test_a_foreign_host_is_refused_on_every_route(client: TestClient) -> None:
    for host in ("evil.example", "evil.example:8188", "127.0.0.1.evil.example", "localhost@evil.example"):
        wrong = [
            place
            for place in doors(client.app)  # type: ignore[arg-type]
            if client.request(*place, headers={"Host": host}).status_code not in (400, 421)
        ]
        assert wrong == []


def test_a_foreign_page_changes_nothing_on_any_route(client: TestClient) -> None:
    foreign = (
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:9999"},  # another program of this machine
        {"Origin": "https://127.0.0.1.evil.example:8188"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    )
    changing = [place for place in doors(client.app) if place[0] not in gate.SAFE]  # type: ignore[arg-type]
    assert len(changing) > 5
    for headers in foreign:
        assert [p for p in changing if client.request(*p, headers=headers, json={}).status_code != 403] == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8188", "localhost:1", "LOCALHOST", "[::1]:8188", "localhost."]
)
def test_own_names_are_known(client: TestClient, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["", "a b", "[::1", "127.0.0.1:port", "127.0.0.1/x", "user@127.0.0.1", "127.0.0.1#", "2130706433"]
)
def test_what_is_no_host_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code in (400, 421)


def test_two_hosts_are_refused(client: TestClient) -> None:
    assert client.get("/healthz", headers=[("Host", "127.0.0.1"), ("Host", "evil.example")]).status_code == 400  # type: ignore[arg-type]


def test_own_pages_may_change_things(client: TestClient) -> None:
    own = {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/v1/jobs/seen", json={}, headers=own).status_code == 204
    proxied = {"Origin": "https://127.0.0.1:8188"}  # a proxy speaks TLS for us
    assert client.post("/api/v1/jobs/seen", json={}, headers=proxied).status_code == 204


@pytest.mark.parametrize(
    ("method", "kind", "more", "passes"),
    [
        ("POST", "application/json", {}, True),
        ("POST", "application/json; charset=utf-8", {}, True),
        ("POST", "text/plain", {}, False),
        ("POST", "", {}, False),
        ("POST", "application/octet-stream", {}, False),
        ("POST", "multipart/form-data; boundary=x", {}, False),
        ("PUT", "multipart/form-data; boundary=x", {}, False),
        ("POST", "application/x-www-form-urlencoded", {}, False),
        ("POST", "application/x-www-form-urlencoded", {"Origin": HERE}, False),
        ("POST", "application/x-www-form-urlencoded", {"HX-Request": "true"}, False),
        ("POST", "application/x-www-form-urlencoded", {"HX-Request": "true", "Origin": HERE}, True),
        ("PUT", "application/octet-stream", {}, True),
        ("PUT", "image/png", {}, True),
        ("PUT", "application/zip", {}, True),
        ("PUT", "", {}, True),
        ("PUT", "text/html", {}, False),
        ("DELETE", "text/plain", {}, False),
    ],
)
def test_bodies_that_a_foreign_form_could_send_are_refused(
    client: TestClient, method: str, kind: str, more: dict[str, str], passes: bool
) -> None:
    headers = {**more, **({"Content-Type": kind} if kind else {})}
    answer = client.request(method, "/api/v1/nowhere", content=b"a=b", headers=headers)
    assert answer.status_code == (404 if passes else 415)


def test_answers_say_that_they_are_for_this_origin_alone(client: TestClient) -> None:
    headers = client.get("/api/v1/jobs").headers
    assert headers["cross-origin-resource-policy"] == "same-origin" and headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert (
        "access-control-allow-origin" not in client.get("/api/v1/jobs", headers={"Origin": "https://e.example"}).headers
    )


def test_a_key_opens_in_each_of_three_ways(studio: Studio, locked: TestClient) -> None:
    _, secret = keys.create(studio, "pipeline", "read")
    for headers in (
        {"X-API-Key": secret},
        {"Authorization": f"Bearer {secret}"},
        {"Cookie": f"{gate.COOKIE}={secret}"},
    ):
        assert locked.get("/api/v1/jobs", headers=headers).status_code == 200
    assert locked.get("/api/v1/jobs", headers={"Authorization": f"Basic {secret}"}).status_code == 401
    assert locked.get(f"/api/v1/jobs?key={secret}").status_code == 401
    keys.revoke(studio, "pipeline")
    assert locked.get("/api/v1/jobs", headers={"X-API-Key": secret}).status_code == 401


def test_scopes_are_kept_to(studio: Studio, locked: TestClient) -> None:
    made = {scope: {"X-API-Key": keys.create(studio, scope, scope)[1]} for scope in keys.SCOPES}

    def status(scope: keys.Scope, method: str, path: str) -> int:
        return locked.request(method, path, headers=made[scope], json=None if method == "GET" else {}).status_code

    assert [status(s, "GET", "/api/v1/jobs") for s in keys.SCOPES] == [200, 200, 200]
    assert [status(s, "POST", "/api/v1/jobs/seen") for s in keys.SCOPES] == [403, 204, 204]
    assert [status(s, "GET", "/api/v1/keys") for s in keys.SCOPES] == [403, 403, 200]
    assert [status(s, "PATCH", "/api/v1/settings/mail") for s in keys.SCOPES] == [403, 403, 200]
    assert status("read", "POST", "/mcp/") == 403


def test_many_different_wrong_keys_have_to_wait_and_one_stale_key_does_not(studio: Studio, locked: TestClient) -> None:
    _, secret = keys.create(studio, "mine", "read")
    for _ in range(30):  # a page left open with a key that was revoked
        assert locked.get("/api/v1/jobs", headers={"X-API-Key": "stale"}).status_code == 401
    assert locked.get("/api/v1/jobs", headers={"X-API-Key": secret}).status_code == 200
    for number in range(gate.WRONG_KEYS - 1):
        locked.get("/api/v1/jobs", headers={"X-API-Key": f"guess {number}"})
    blocked = locked.get("/api/v1/jobs", headers={"X-API-Key": secret})
    assert blocked.status_code == 429 and int(blocked.headers["retry-after"]) > 0


def test_wrong_keys_are_forgotten_in_time_and_never_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(gate.time, "monotonic", lambda: now)
    wrong = WrongKeys()
    for number in range(gate.WRONG_KEYS):
        wrong.add("a", str(number))
    assert wrong.wait("a") == pytest.approx(gate.WINDOW_SECONDS) and wrong.wait("b") == 0
    now += gate.WINDOW_SECONDS + 1
    assert wrong.wait("a") == 0
    monkeypatch.setattr(gate, "MOST_ADDRESSES", 50)
    for number in range(200):
        wrong.add(str(number), "x")
    assert len(wrong._seen) <= 50  # pyright: ignore[reportPrivateUsage]


def test_a_person_is_led_to_the_login_page_and_a_program_told_what_is_missing(locked: TestClient) -> None:
    led = locked.get("/datasets?q=1", headers={"Accept": "text/html"}, follow_redirects=False)
    assert led.status_code == 303 and led.headers["location"] == "/login?next=%2Fdatasets%3Fq%3D1"
    told = locked.get("/api/v1/jobs")
    assert told.headers["content-type"] == "application/problem+json" and "X-API-Key" in told.json()["errors"][0]["fix"]
    assert locked.get("/queue", headers={"HX-Request": "true"}).headers["hx-redirect"] == "/login"


def test_signing_in_sets_a_cookie_that_scripts_and_other_pages_do_not_get(studio: Studio) -> None:
    app = create_app(studio, access=Access(keys=True))
    _, secret = keys.create(studio, "mine", "write")

    @app.put("/healthz")  # free of a key, as the login page is
    def put(request: gate.Request) -> Response:
        return gate.sign_in(request, request.headers["given"], Response())

    with TestClient(app, base_url=HERE) as client:
        assert client.put("/healthz", headers={"given": "wrong"}).status_code == 401
        answer = client.put("/healthz", headers={"given": secret})
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie
        assert client.get("/api/v1/jobs").status_code == 200


def test_a_server_beyond_loopback_wants_keys_and_knows_its_addresses() -> None:
    assert not Access.bound("127.0.0.1").keys and not Access.bound("localhost").keys and not Access.bound("::1").keys
    assert Access.bound("127.0.0.1", keys=True).keys
    wide = Access.bound("0.0.0.0", also=["Studio.Example"])
    assert wide.keys and wide.knows("192.168.1.7") and wide.knows("studio.example") and not wide.knows("evil.example")
    one = Access.bound("192.168.1.7")
    assert one.keys and one.knows("192.168.1.7") and one.knows("localhost") and not one.knows("192.168.1.8")


def test_a_key_may_be_given_by_whatever_a_client_can_send() -> None:
    assert gate.given_key(Headers({"cookie": "a=b; ="})) is None
    assert gate.given_key(Headers({"authorization": "Bearer"})) is None
    assert gate.given_key(Headers({"cookie": f'x=1; {gate.COOKIE}="k"; y=2'})) == "k"


def test_paths_that_climb_do_not_become_free(locked: TestClient) -> None:
    for path in ("/static/../api/v1/jobs", "/static/%2e%2e/api/v1/jobs", "/shared/../api/v1/keys", "//static/x",
                 "/static/..%2f..%2f..%2fpyproject.toml", "/static/x/..%2f..%2f..%2f..%2fetc/passwd"):  # fmt: skip
        answer = locked.get(path)
        assert answer.status_code in (401, 404), path
        assert "jobs" not in answer.text and "root:" not in answer.text
