"""Settings of the studio, by group."""

import secrets
import time
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from likeness.api.shapes import Asked, Opened, Told
from likeness.errors import InputError, LikenessError
from likeness.studio import notices, preferences
from likeness.studio.preferences import Jobs, Mail, Webhooks

router = APIRouter(prefix="/settings", tags=["settings"])


class MailChange(Asked):
    on: bool = False
    host: str = ""
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: str = Field(default="", description="Never told again; empty takes it away.")
    sender: str = ""
    to: list[str] = Field(default=[])
    jobs: Jobs = "trainings"


class WebhooksChange(Asked):
    urls: list[str] = Field(default=[])
    secret: str = Field(default="", description="Never told again; empty takes it away.")
    jobs: Jobs = "trainings"
    allow_private: bool = False


class QueueChange(Asked):
    devices: list[str] = Field(default=[])
    light_jobs: int = 2
    keep_base_minutes: int = 5


class ImportsChange(Asked):
    on: bool = True
    allow_private: bool = False
    most_megabytes: int = 2048
    seconds: int = 600


class CaptionsChange(Asked):
    servers: list[str] = Field(default=[])


class SettingsTold(Told):
    """Of a secret only whether it is set, as NAME_set."""

    mail: dict[str, Any]
    webhooks: dict[str, Any]
    queue: dict[str, Any]
    imports: dict[str, Any]
    captions: dict[str, Any]


class TrialTold(Told):
    ok: bool
    problems: list[str]


@router.get("")
def get_settings(studio: Opened) -> SettingsTold:
    found = {name: preferences.told(preferences.get(studio, kind)) for name, kind in preferences.GROUPS.items()}
    return SettingsTold(**found)


@router.patch("/mail")
def change_mail(studio: Opened, asked: MailChange) -> SettingsTold:
    """E-mail when a job has ended. What is not named stays."""
    preferences.change(studio, "mail", asked.model_dump(exclude_unset=True))
    return get_settings(studio)


@router.patch("/webhooks")
def change_webhooks(studio: Opened, asked: WebhooksChange) -> SettingsTold:
    """A signed POST to other programs when a job has ended. What is not named stays."""
    preferences.change(studio, "webhooks", asked.model_dump(exclude_unset=True))
    return get_settings(studio)


@router.patch("/queue")
def change_queue(studio: Opened, asked: QueueChange) -> SettingsTold:
    """Where jobs run, how many, and how long a base stays loaded. What runs already goes on."""
    preferences.change(studio, "queue", asked.model_dump(exclude_unset=True))
    return get_settings(studio)


@router.patch("/imports")
def change_imports(studio: Opened, asked: ImportsChange) -> SettingsTold:
    """Files fetched from URLs. What is not named stays."""
    preferences.change(studio, "imports", asked.model_dump(exclude_unset=True))
    return get_settings(studio)


@router.patch("/captions")
def change_captions(studio: Opened, asked: CaptionsChange) -> SettingsTold:
    """Servers that may be asked for captions. What is not named stays."""
    preferences.change(studio, "captions", asked.model_dump(exclude_unset=True))
    return get_settings(studio)


@router.post("/mail/trial")
def try_mail(studio: Opened, request: Request) -> TrialTold:
    """Send a mail now, with the settings as they are kept."""
    mail = preferences.get(studio, Mail)
    if not (mail.host and mail.sender and mail.to):
        raise InputError("mail: has no host, sender or address. Fix: set them first")
    return _tried(lambda: notices.send(mail, notices.trial(mail, str(request.base_url))))


@router.post("/webhooks/trial")
def try_webhooks(studio: Opened) -> TrialTold:
    """Send a POST of the type 'trial' to every webhook now."""
    hooks = preferences.get(studio, Webhooks)
    if not hooks.urls:
        raise InputError("urls: there are no webhooks. Fix: set one first")
    message, when, body = f"msg_{secrets.token_hex(12)}", int(time.time()), b'{"type": "trial"}'
    return _tried(*(lambda url=url: notices.deliver(hooks, url, message, when, body) for url in hooks.urls))


def _tried(*attempts: Any) -> TrialTold:
    problems: list[str] = []
    for attempt in attempts:
        try:
            attempt()
        except LikenessError as e:
            problems.append(str(e))
    return TrialTold(ok=not problems, problems=problems)
