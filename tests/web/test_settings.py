"""Settings, keys and sign-in as pages."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from likeness.api.app import create_app
from likeness.api.gate import COOKIE, Access
from likeness.studio import keys, preferences
from likeness.studio.preferences import GROUPS, Mail, Webhooks
from likeness.studio.workspace import Studio
from likeness.web import forms
from tests.web.conftest import ADDRESS, FROM_PAGE

MAIL = {"on": "on", "host": "smtp.example.org", "port": "465", "security": "tls", "user": "me", "sender": "a@b.org",
        "to": "c@d.org\ne@f.org", "jobs": "all"}  # fmt: skip


@pytest.fixture
def guarded(studio: Studio) -> Iterator[TestClient]:
    """A server that wants keys, as a browser meets it."""
    with TestClient(create_app(studio, access=Access(keys=True)), base_url=ADDRESS, follow_redirects=False) as found:
        found.headers["Accept"] = "text/html"
        yield found


def test_every_group_has_a_form(client: TestClient):
    pages = client.get("/settings").text + client.get("/settings/notices").text
    for name, group in GROUPS.items():
        assert f'hx-post="/settings/group/{name}"' in pages
        for field in group.model_fields:
            assert f'name="{field}"' in pages, f"{name}.{field}"


def test_what_is_filled_in_is_kept(studio: Studio, client: TestClient):
    answer = client.post("/settings/group/mail", data={**MAIL, "password": "hush"}, headers=FROM_PAGE)
    assert answer.status_code == 200 and "Saved" in answer.text and "hush" not in answer.text
    mail = preferences.get(studio, Mail)
    assert (mail.on, mail.port, mail.to, mail.jobs) == (True, 465, ["c@d.org", "e@f.org"], "all")
    client.post("/settings/group/mail", data={**MAIL, "password": ""}, headers=FROM_PAGE)
    assert preferences.get(studio, Mail).password.get_secret_value() == "hush", "an empty box keeps it"
    client.post("/settings/group/mail", data={**MAIL, "forget_password": "on"}, headers=FROM_PAGE)
    assert preferences.get(studio, Mail).password.get_secret_value() == ""
    without_on = {name: value for name, value in MAIL.items() if name != "on"}
    client.post("/settings/group/mail", data=without_on, headers=FROM_PAGE)
    assert preferences.get(studio, Mail).on is False


def test_what_cannot_be_used_is_told_at_its_field_and_not_lost(studio: Studio, client: TestClient):
    answer = client.post("/settings/group/mail", data={**MAIL, "port": "99999"}, headers=FROM_PAGE)
    assert answer.status_code == 422 and 'id="mail-port-error"' in answer.text and 'value="99999"' in answer.text
    assert preferences.get(studio, Mail).host == ""
    answer = client.post("/settings/group/webhooks", data={"urls": "nonsense", "jobs": "all"}, headers=FROM_PAGE)
    assert answer.status_code == 422 and "nonsense" in answer.text and preferences.get(studio, Webhooks).urls == []
    assert client.post("/settings/group/nothing", headers=FROM_PAGE).status_code == 404


def test_a_trial_says_what_is_missing(client: TestClient):
    assert "has no host" in client.post("/settings/try/mail", headers=FROM_PAGE).text
    assert "there are no webhooks" in client.post("/settings/try/webhooks", headers=FROM_PAGE).text
    assert client.post("/settings/try/queue", headers=FROM_PAGE).status_code == 404


def test_a_new_kind_of_field_gets_a_box():
    kinds = {box.kind for group in GROUPS.values() for box in forms.boxes(group)}
    assert kinds == {"check", "lines", "secret", "select", "number", "text"}


def test_a_key_is_shown_once_and_revoked(studio: Studio, client: TestClient):
    made = client.post("/settings/keys", data={"name": "laptop", "scope": "read"}, headers=FROM_PAGE).text
    secret = made.split('id="made" class="grow">')[1].split("<")[0]
    row = keys.check(studio, secret)
    assert row is not None and row.scopes == ["read"]
    assert secret not in client.get("/settings/keys").text
    twice = client.post("/settings/keys", data={"name": "laptop", "scope": "read"}, headers=FROM_PAGE).text
    assert 'id="name-error"' in twice
    answer = client.post(f"/settings/keys/{row.id}/revoke", headers=FROM_PAGE).text
    assert "revoked" in answer and keys.check(studio, secret) is None


def test_who_has_no_key_is_led_to_sign_in_and_back(studio: Studio, guarded: TestClient):
    _, secret = keys.create(studio, "me", "write")
    asked = guarded.get("/queue?x=1")
    assert asked.status_code == 303 and asked.headers["location"].startswith("/login?next=")
    page = guarded.get(asked.headers["location"])
    assert page.status_code == 200 and 'value="/queue?x=1"' in page.text and 'href="/queue"' not in page.text
    wrong = guarded.post("/login", data={"key": "likeness_no", "next": "/queue"}, headers=FROM_PAGE)
    assert wrong.status_code == 401 and 'id="key-error"' in wrong.text and "set-cookie" not in wrong.headers
    right = guarded.post("/login", data={"key": secret, "next": "/queue?x=1"}, headers=FROM_PAGE)
    assert right.headers["hx-redirect"] == "/queue?x=1" and right.cookies[COOKIE] == secret
    assert guarded.get("/queue").status_code == 200
    assert guarded.get("/settings").status_code == 403, "that key may not change settings"
    out = guarded.post("/logout", headers=FROM_PAGE)
    assert out.headers["hx-redirect"] == "/login" and guarded.get("/queue").status_code == 303


@pytest.mark.parametrize(
    "evil",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/login?next=/login",
        "/a\r\nb",
    ],
)
def test_signing_in_never_leads_elsewhere(studio: Studio, guarded: TestClient, evil: str):
    _, secret = keys.create(studio, "me", "write")
    answer = guarded.post("/login", data={"key": secret, "next": evil}, headers=FROM_PAGE)
    assert answer.headers["hx-redirect"] == "/"


def test_without_keys_there_is_nothing_to_sign_in_to(client: TestClient):
    assert client.get("/login?next=/queue", follow_redirects=False).headers["location"] == "/queue"
