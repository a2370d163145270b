"""Mail to a real SMTP server, webhooks to a real HTTP server."""

import email
import email.policy
import hashlib
import hmac
import json
import ssl
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from likeness.errors import InputError, RunFailed
from likeness.store.tables import Job
from likeness.studio import notices, preferences
from likeness.studio.notices import Notices
from likeness.studio.preferences import Mail, Webhooks
from likeness.studio.workspace import Studio
from tests import waiting

ADDRESS = "http://127.0.0.1:8188"
SECRET = "whsec_" + b64encode(b"a secret of some length").decode()


class Box:
    """Keeps mails."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"


class Office(Controller):
    """On whatever port is free."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        super()._trigger_server()


@pytest.fixture
def post_office(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Controller]:
    """A mail server with STARTTLS that wants the password 'pw'."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(notices.ssl, "create_default_context", lambda: trusting)
    controller = Office(
        Box(), hostname="localhost", port=0, tls_context=context, require_starttls=True, auth_required=True,
        authenticator=lambda *given: AuthResult(success=given[4].password == b"pw", handled=False),
    )  # fmt: skip
    controller.start()
    yield controller
    controller.stop()


@pytest.fixture
def mail(post_office: Controller) -> Mail:
    return Mail(
        on=True,
        host="localhost",
        port=post_office.port,
        user="me",
        password="pw",
        sender="a@b.example",
        to=["c@d.example", "e@f.example"],
    )  # type: ignore[arg-type]


@pytest.fixture
def hook() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]], list[int]]]:
    """A URL, what it was sent, and the statuses that it is to answer with before 204."""
    got: list[tuple[dict[str, str], bytes]] = []
    statuses: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(statuses.pop(0) if statuses else 204)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got, statuses
    server.shutdown()
    server.server_close()


def ended(tmp_path: Path, state: str = "finished", verb: str = "train", **more: Any) -> Job:
    values: dict[str, Any] = {
        "id": "abc", "verb": verb, "title": "Maya", "folder": str(tmp_path), "subject": "run:maya 2", "state": state,
        "error": None, "result": {"epochs": 3}, "created": 1.0, "started": 100.0, "ended": 100.0 + 42 * 60, **more,
    }  # fmt: skip
    return Job(**values)


wait = partial(waiting.wait, seconds=20)


def test_a_mail_tells_what_ended_with_a_link_and_the_grid(
    studio: Studio, mail: Mail, post_office: Controller, tmp_path: Path
) -> None:
    (tmp_path / "grid.png").write_bytes(b"a picture")
    preferences.change(studio, "mail", {**mail.model_dump(exclude={"password"}), "password": "pw"})
    Notices(studio, ADDRESS)(studio, ended(tmp_path))
    box = post_office.handler
    wait(lambda: box.mails)
    got = box.mails[0]
    assert got["Subject"] == "Likeness: Maya is done" and got["To"] == "c@d.example, e@f.example"
    plain, rich = (got.get_body([kind]).get_content() for kind in ("plain", "html"))
    assert "Maya is done after 42 min." in plain and f"{ADDRESS}/runs/maya%202" in plain and "<a href=" in rich
    [grid] = got.iter_attachments()
    assert grid.get_content() == b"a picture" and grid.get_content_type() == "image/png"


def test_names_and_errors_cannot_break_out_of_a_mail(mail: Mail, tmp_path: Path) -> None:
    job = ended(tmp_path, "failed", title="a\r\nBcc: x@y.example\r\n\r\n<script>", error="<b>no memory</b>")
    message = notices.letter(mail, job, ADDRESS)
    assert message["Bcc"] is None and "\n" not in message["Subject"] and "has failed" in message["Subject"]
    rich = message.get_body(["html"])
    assert rich is not None and "&lt;script&gt;" in rich.get_content() and "<b>" not in rich.get_content()


def test_a_large_grid_stays_at_home(mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "grid.png").write_bytes(b"x" * 100)
    assert len(list(notices.letter(mail, ended(tmp_path), ADDRESS).iter_attachments())) == 1
    assert list(notices.letter(mail, ended(tmp_path, verb="sample"), ADDRESS).iter_attachments()) == []
    monkeypatch.setattr(notices, "MOST_ATTACHED_BYTES", 99)
    assert list(notices.letter(mail, ended(tmp_path), ADDRESS).iter_attachments()) == []


def test_a_mail_server_that_refuses_or_is_not_there_is_told_apart(mail: Mail, post_office: Controller) -> None:
    message = notices.trial(mail, ADDRESS)
    notices.send(mail, message)
    assert len(post_office.handler.mails) == 1
    with pytest.raises(InputError, match="user or password"):
        notices.send(mail.model_copy(update={"password": preferences.SecretStr("wrong")}), message)
    with pytest.raises(InputError, match="security"):
        notices.send(mail.model_copy(update={"security": "tls"}), message)
    with pytest.raises(RunFailed, match="localhost:1"):
        notices.send(mail.model_copy(update={"port": 1}), message)


def test_a_webhook_is_signed_and_tells_of_the_job(
    studio: Studio, hook: tuple[str, list[tuple[dict[str, str], bytes]], list[int]], tmp_path: Path
) -> None:
    url, got, _ = hook
    preferences.change(studio, "webhooks", {"urls": [url], "secret": SECRET, "allow_private": True})
    Notices(studio, ADDRESS)(studio, ended(tmp_path))
    wait(lambda: got)
    headers, body = got[0]
    told = json.loads(body)
    assert (
        told["type"] == "job.finished" and told["data"]["title"] == "Maya" and told["data"]["result"] == {"epochs": 3}
    )
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = b64decode(SECRET.removeprefix("whsec_"))
    assert headers["webhook-signature"] == f"v1,{b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()}"


def test_the_signature_is_that_of_the_published_example() -> None:
    body = b'{"test": 2432232314}'
    found = notices.signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body
    )
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_webhook_that_fails_is_tried_again_as_the_same_message_and_one_that_refuses_is_not(
    studio: Studio, hook: tuple[str, list[tuple[dict[str, str], bytes]], list[int]], tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    url, got, statuses = hook
    preferences.change(studio, "webhooks", {"urls": [url], "allow_private": True})
    tell = Notices(studio, ADDRESS, waits=(0.01, 0.01))
    statuses[:] = [500, 429]
    tell(studio, ended(tmp_path))
    wait(lambda: len(got) == 3)
    assert len({headers["webhook-id"] for headers, _ in got}) == 1 and "webhook-signature" not in got[0][0]
    for refusal in ([410], [302], [500, 500, 500]):  # the last: given up
        got.clear()
        statuses[:] = refusal
        tell(studio, ended(tmp_path))
        wait(lambda: "answered" in capfd.readouterr().out)
        assert len(got) == len(refusal)


def test_webhooks_do_not_reach_this_machine_unless_that_is_allowed(
    hook: tuple[str, list[tuple[dict[str, str], bytes]], list[int]],
) -> None:
    url, got, _ = hook
    with pytest.raises(InputError, match="private network"):
        notices.deliver(Webhooks(urls=[url]), url, "m", 1, b"{}")
    assert got == []


def test_only_what_is_wanted_is_told(
    studio: Studio, hook: tuple[str, list[tuple[dict[str, str], bytes]], list[int]], tmp_path: Path
) -> None:
    url, got, _ = hook
    preferences.change(studio, "webhooks", {"urls": [url], "allow_private": True})
    tell = Notices(studio, ADDRESS)
    for job in (ended(tmp_path, "canceled"), ended(tmp_path, "paused"), ended(tmp_path, verb="sample")):
        tell(studio, job)
    tell(studio, ended(tmp_path, "failed", error="no memory"))
    wait(lambda: got)
    assert [json.loads(body)["type"] for _, body in got] == ["job.failed"]
    preferences.change(studio, "webhooks", {"jobs": "all"})
    tell(studio, ended(tmp_path, verb="sample"))
    wait(lambda: len(got) == 2)
