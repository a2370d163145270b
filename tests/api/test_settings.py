import stat
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from fastapi.testclient import TestClient

from likeness.studio.workspace import Studio

SETTINGS = "/api/v1/settings"


def test_settings_are_kept_and_secrets_never_told(studio: Studio, client: TestClient) -> None:
    mail = {"host": "mail.example", "sender": "a@b.example", "to": ["c@d.example"], "password": "hush", "user": "me"}
    answer = client.patch(f"{SETTINGS}/mail", json=mail)
    assert answer.status_code == 200 and answer.json()["mail"]["password_set"] is True
    client.patch(f"{SETTINGS}/mail", json={"on": True})  # the others stay
    told = client.get(SETTINGS)
    assert told.json()["mail"] | {"on": True, "host": "mail.example", "user": "me"} == told.json()["mail"]
    assert "hush" not in told.text
    assert stat.S_IMODE(studio.database.path.stat().st_mode) == 0o600
    client.patch(f"{SETTINGS}/mail", json={"password": ""})
    assert client.get(SETTINGS).json()["mail"]["password_set"] is False


def test_settings_that_cannot_be_used_are_refused_and_change_nothing(client: TestClient) -> None:
    before = client.get(SETTINGS).json()
    for group, values, field in (
        ("mail", {"on": True}, "settings"),  # no host
        ("mail", {"port": 0}, "port"),
        ("mail", {"to": ["x@y.example, z"]}, "settings"),
        ("mail", {"hots": "a"}, "hots"),
        ("webhooks", {"urls": ["file:///etc/passwd"]}, "url"),
        ("webhooks", {"secret": "whsec_???"}, "secret"),
        ("queue", {"light_jobs": 0}, "light_jobs"),
        ("queue", {"keep_base_minutes": -1}, "keep_base_minutes"),
        ("queue", {"devices": ["gpu"]}, "settings"),
        ("imports", {"seconds": None}, "seconds"),
    ):
        answer = client.patch(f"{SETTINGS}/{group}", json=values)
        assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == field, (group, values, answer.text)
    assert client.get(SETTINGS).json() == before
    assert client.patch(f"{SETTINGS}/nothing", json={}).status_code == 404


def test_mail_that_would_send_a_password_in_the_clear_is_refused(client: TestClient) -> None:
    values = {"on": True, "host": "m", "sender": "a@b", "to": ["c@d"], "user": "u", "password": "p", "security": "none"}
    assert "encryption" in client.patch(f"{SETTINGS}/mail", json=values).json()["detail"]


def test_a_trial_says_what_is_wrong(client: TestClient) -> None:
    assert client.post(f"{SETTINGS}/mail/trial").status_code == 422
    client.patch(f"{SETTINGS}/mail", json={"host": "127.0.0.1", "port": 1, "sender": "a@b", "to": ["c@d"]})
    tried = client.post(f"{SETTINGS}/mail/trial").json()
    assert tried["ok"] is False and "127.0.0.1:1" in tried["problems"][0]


def test_a_trial_reaches_webhooks(client: TestClient) -> None:
    got: list[bytes] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/x"
    client.patch(f"{SETTINGS}/webhooks", json={"urls": [url]})
    refused = client.post(f"{SETTINGS}/webhooks/trial").json()
    assert refused["ok"] is False and "private" in refused["problems"][0] and got == []
    client.patch(f"{SETTINGS}/webhooks", json={"allow_private": True})
    assert client.post(f"{SETTINGS}/webhooks/trial").json() == {"ok": True, "problems": []}
    assert got == [b'{"type": "trial"}']
    server.shutdown()
    server.server_close()
