"""Word to people and programs that a job has ended: an e-mail, and webhooks.

Webhooks are signed as the Standard Webhooks say: HMAC-SHA256 over 'ID.TIMESTAMP.BODY', in base64, in the header
`webhook-signature`; `webhook-id` stays the same when one is sent again.
"""

import base64
import hashlib
import hmac
import html
import json
import secrets
import smtplib
import ssl
import threading
import time
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from urllib.parse import quote

from likeness.errors import InputError, RunFailed
from likeness.store.tables import Job
from likeness.studio import outside, preferences
from likeness.studio.outside import Limits
from likeness.studio.preferences import Mail, Webhooks
from likeness.studio.workspace import Studio

TOLD_OF = ("finished", "failed")  # states; who paused or canceled a job knows
TRAININGS = ("train", "voice-train")
WAITS = (2.0, 15.0, 120.0)  # seconds before each further try
TIMEOUT_SECONDS = 10.0
MOST_ATTACHED_BYTES = 5_000_000


class Notices:
    """A listener of the supervisor. What it sends goes out from a thread, one after another; `address` is the server's.

    Whoever cannot be reached is tried again a few times; then it is printed, and the job is none the worse.
    """

    def __init__(self, studio: Studio, address: str, waits: tuple[float, ...] = WAITS):
        self.studio, self.address, self._waits = studio, address.rstrip("/"), waits
        self._due: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._work, name="notices", daemon=True).start()

    def __call__(self, studio: Studio, job: Job) -> None:
        if job.state not in TOLD_OF:
            return
        mail, hooks = preferences.get(studio, Mail), preferences.get(studio, Webhooks)
        if mail.on and _wanted(mail.jobs, job):
            self._send(f"mail to {', '.join(mail.to)}", lambda: send(mail, letter(mail, job, self.address)))
        if _wanted(hooks.jobs, job):
            message, when, body = f"msg_{secrets.token_hex(12)}", int(time.time()), payload(job, self.address)
            for url in hooks.urls:
                self._send(url, lambda url=url: deliver(hooks, url, message, when, body))

    def _send(self, whom: str, attempt: Callable[[], None], tried: int = 0) -> None:
        def now() -> None:
            try:
                attempt()
            except (InputError, RunFailed) as e:
                if isinstance(e, InputError) or tried >= len(self._waits):
                    print(f"notices: {whom}: {e}", flush=True)
                    return
                later = threading.Timer(self._waits[tried], self._send, (whom, attempt, tried + 1))
                later.daemon = True
                later.start()

        self._due.put(now)

    def _work(self) -> None:
        while True:
            try:
                self._due.get()()
            except Exception as e:  # one that cannot be sent must not keep the others
                print(f"notices: {type(e).__name__}: {e}", flush=True)


def payload(job: Job, address: str) -> bytes:
    """What a webhook is told."""
    told: dict[str, Any] = {
        "type": f"job.{job.state}",
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(job.ended or time.time())),
        "data": {
            "id": job.id, "verb": job.verb, "title": job.title, "subject": job.subject, "state": job.state,
            "error": job.error, "result": job.result, "created": job.created, "started": job.started,
            "ended": job.ended, "url": page_of(job, address),
        },
    }  # fmt: skip
    return json.dumps(told).encode()


def deliver(hooks: Webhooks, url: str, message: str, when: int, body: bytes) -> None:
    """POST to one webhook. Raises RunFailed where another try may help, InputError where none will."""
    headers = {"Content-Type": "application/json", "webhook-id": message, "webhook-timestamp": str(when)}
    if secret := hooks.secret.get_secret_value():
        headers["webhook-signature"] = signature(secret, message, when, body)
    outside.check_url(url)
    limits = Limits(most_bytes=1000, seconds=TIMEOUT_SECONDS, private=hooks.allow_private)
    try:
        reply = outside.post(url, body, headers, limits)
    except outside.Unreachable as e:
        raise RunFailed(str(e)) from e
    if 200 <= reply.status < 300:
        return
    words = f"answered {reply.status}"
    raise RunFailed(words) if reply.status >= 500 or reply.status in (408, 425, 429) else InputError(words)


def signature(secret: str, message: str, when: int, body: bytes) -> str:
    """As the Standard Webhooks have it: 'v1,' and the base64 of the HMAC."""
    digest = hmac.new(preferences.signing_key(secret), f"{message}.{when}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def letter(mail: Mail, job: Job, address: str) -> EmailMessage:
    """The e-mail about a job: plain text and HTML, with the grid of a training where it is small."""
    url, done = page_of(job, address), job.state == "finished"
    took = f" after {_minutes(job.ended - job.started)}" if job.ended and job.started else ""
    what = f"{job.title} {'is done' if done else 'has failed'}{took}."
    message = EmailMessage()
    message["Subject"] = _one_line(f"Likeness: {job.title} {'is done' if done else 'has failed'}")
    message["From"], message["To"] = mail.sender, ", ".join(mail.to)
    message["Date"], message["Message-ID"] = formatdate(localtime=True), make_msgid(domain="likeness.local")
    message.set_content("\n\n".join(filter(None, (what, job.error, url))) + "\n")
    error = f"<pre>{html.escape(job.error)}</pre>" if job.error else ""
    link = f'<p><a href="{html.escape(url)}">{html.escape(url)}</a></p>'
    message.add_alternative(f"<p>{html.escape(what)}</p>{error}{link}", subtype="html")
    grid = Path(job.folder) / "grid.png"
    if job.verb in TRAININGS and grid.is_file() and grid.stat().st_size <= MOST_ATTACHED_BYTES:
        message.add_attachment(grid.read_bytes(), maintype="image", subtype="png", filename="grid.png")
    return message


def trial(mail: Mail, address: str) -> EmailMessage:
    """An e-mail that says that e-mails arrive."""
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Likeness: a trial", mail.sender, ", ".join(mail.to)
    message["Date"], message["Message-ID"] = formatdate(localtime=True), make_msgid(domain="likeness.local")
    message.set_content(f"Mail from Likeness arrives. {address}\n")
    return message


def send(mail: Mail, message: EmailMessage) -> None:
    """Hand an e-mail to the server. Raises RunFailed where another try may help, InputError where none will."""
    context, password = ssl.create_default_context(), mail.password.get_secret_value()
    try:
        if mail.security == "tls":
            server = smtplib.SMTP_SSL(mail.host, mail.port, timeout=TIMEOUT_SECONDS, context=context)
        else:
            server = smtplib.SMTP(mail.host, mail.port, timeout=TIMEOUT_SECONDS)
        with server:
            if mail.security == "starttls":
                server.starttls(context=context)
            if mail.user:
                server.login(mail.user, password)
            server.send_message(message)
    except smtplib.SMTPAuthenticationError as e:
        raise InputError(f"user: {mail.host} refuses user or password. Fix: check both") from e
    except ssl.SSLError as e:
        raise InputError(f"security: {mail.host}: {e.reason}. Fix: check security and port (465 is tls)") from e
    except smtplib.SMTPNotSupportedError as e:
        raise InputError(f"security: {mail.host}: {e}. Fix: choose another security") from e
    except (smtplib.SMTPException, OSError) as e:
        raise RunFailed(f"host: {mail.host}:{mail.port}: {e}") from e


def page_of(job: Job, address: str) -> str:
    """Where the page about a job's subject is, or about what came of it; else the job's own."""
    kind, _, name = job.subject.partition(":")
    if kind == "merge" and job.state == "finished":
        return f"{address}/library/{job.id}"
    if kind == "generation" and job.state != "failed":
        return f"{address}/generate"
    if kind == "voices" and job.state == "finished":
        return f"{address}/voices/{job.extra.get('voice_id')}"
    rooms = {"run": "runs", "dataset": "datasets", "model": "library", "publish": "library", "voice": "voices"}
    room = rooms.get(kind)
    return f"{address}/{room}/{quote(name)}" if room and name else f"{address}/queue/{job.id}"


def _wanted(jobs: preferences.Jobs, job: Job) -> bool:
    return jobs == "all" or job.verb in TRAININGS


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _one_line(text: str) -> str:
    """A header's value: a line break in it would begin another header."""
    return " ".join(text.split())
