"""What a person sets for the whole studio, in groups that are kept in the database."""

import base64
import contextlib
import os
import re
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from likeness.errors import InputError, NotFound
from likeness.store.tables import Setting
from likeness.studio.outside import check_url
from likeness.studio.workspace import Studio

Jobs = Literal["trainings", "all"]


SECRET_PREFIX = "whsec_"  # what follows it is base64, as the Standard Webhooks have it
_DEVICE = re.compile(r"cpu|mps|cuda:\d{1,3}")


class Group(BaseModel):
    """Unknown settings are refused. Secrets go in, and are not told again."""

    model_config = ConfigDict(extra="forbid", validate_default=True)


class Mail(Group):
    """E-mail when a job has ended."""

    on: bool = Field(default=False, description="Send mail.")
    host: str = Field(default="", max_length=253, description="The SMTP server.")
    port: int = Field(default=587, ge=1, le=65535, description="587 for STARTTLS, 465 for TLS.")
    security: Literal["starttls", "tls", "none"] = Field(default="starttls", description="How it is encrypted.")
    user: str = Field(default="", max_length=320, description="To log in with; empty for no login.")
    password: SecretStr = Field(default=SecretStr(""), description="Kept here, never told again.")
    sender: str = Field(default="", max_length=320, description="The address it comes from.")
    to: list[str] = Field(default=[], max_length=20, description="The addresses it goes to.")
    jobs: Jobs = Field(default="trainings", description="Which jobs are told of.")

    @model_validator(mode="after")
    def complete(self) -> "Mail":
        for address in (self.sender, *self.to):
            if address and ("@" not in address or not address.isprintable() or set(address) & set(" ,;<>")):
                raise ValueError(f"'{address}' is no e-mail address")
        if self.on and not (self.host and self.sender and self.to):
            raise ValueError("mail needs host, sender and to")
        if self.on and self.security == "none" and self.password.get_secret_value():
            raise ValueError("a password is not sent without encryption; choose starttls or tls")
        return self


class Webhooks(Group):
    """A POST to other programs when a job has ended."""

    urls: list[str] = Field(default=[], max_length=10, description="Where to; http or https.")
    secret: SecretStr = Field(default=SecretStr(""), description="Signs what is sent. Kept here, never told again.")
    jobs: Jobs = Field(default="trainings", description="Which jobs are told of.")
    allow_private: bool = Field(default=False, description="Also to addresses of this machine and its network.")

    @model_validator(mode="after")
    def usable(self) -> "Webhooks":
        for url in self.urls:
            check_url(url)
        signing_key(self.secret.get_secret_value())
        return self


class Queue(Group):
    """Where jobs run, how many, and what stays loaded."""

    devices: list[str] = Field(default=[], max_length=64, description="Such as cuda:0 or cpu; none for all there are.")
    light_jobs: int = Field(default=2, ge=1, le=16, description="Jobs that need no device, at a time.")
    keep_base_minutes: int = Field(
        default=5, ge=0, le=1440, description="For more pictures, unless other work wants the device; 0: none."
    )

    @model_validator(mode="after")
    def known(self) -> "Queue":
        for device in self.devices:
            if not _DEVICE.fullmatch(device):
                raise ValueError(f"'{device}' is no device; such as cuda:0, mps or cpu")
        if len(set(self.devices)) < len(self.devices):
            raise ValueError("a device is named twice")
        return self


class Imports(Group):
    """Files fetched from URLs."""

    on: bool = Field(default=True, description="Fetch files from URLs that are asked for.")
    allow_private: bool = Field(default=False, description="Also from addresses of this machine and its network.")
    most_megabytes: int = Field(default=2048, ge=1, le=1_000_000, description="Of one file.")
    seconds: int = Field(default=600, ge=1, le=86_400, description="That one file may take.")


class Captions(Group):
    """Servers that captions are asked of. Pictures and keys are sent there, so whoever calls cannot name just any."""

    servers: list[str] = Field(
        default=[],
        max_length=20,
        description="Addresses that may be asked, such as http://127.0.0.1:1234/v1, besides Ollama here and OpenAI.",
    )

    @model_validator(mode="after")
    def usable(self) -> "Captions":
        for url in self.servers:
            check_url(url)
        return self


GROUPS: dict[str, type[Group]] = {
    "mail": Mail, "webhooks": Webhooks, "queue": Queue, "imports": Imports, "captions": Captions,
}  # fmt: skip
G = TypeVar("G", bound=Group)


def get(studio: Studio, kind: type[G]) -> G:
    """A group as it is set; what nobody set has its default."""
    with studio.database.reading() as session:
        row = session.get(Setting, _name(kind))
    return kind.model_validate(row.value) if row else kind()


def change(studio: Studio, name: str, values: dict[str, Any]) -> Group:
    """Set some of a group's settings and keep the others. Raises NotFound for an unknown group, InputError for values
    that cannot be used; then nothing has changed."""
    kind = GROUPS.get(name)
    if kind is None:
        raise NotFound(f"no settings '{name}'. Fix: one of {', '.join(GROUPS)}")
    with studio.database.session() as session:
        row = session.get(Setting, name)
        try:
            group = kind.model_validate({**(row.value if row else {}), **values})
        except ValidationError as e:
            raise InputError(*(_in_words(error) for error in e.errors())) from e
        session.merge(Setting(name=name, value=_plain(group)))
    _for_owner_alone(studio)
    studio.woken.set()  # the queue looks at its own
    return group


def told(group: Group) -> dict[str, Any]:
    """A group for others to see: of a secret only whether it is set, as NAME_set."""
    shown: dict[str, Any] = {}
    for name in type(group).model_fields:
        value = getattr(group, name)
        if isinstance(value, SecretStr):
            shown[f"{name}_set"] = bool(value.get_secret_value())
        else:
            shown[name] = value
    return shown


def signing_key(secret: str) -> bytes:
    """The bytes to sign webhooks with; none for no secret. Raises InputError for a secret that cannot be read."""
    if not secret.startswith(SECRET_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError as e:
        raise InputError(f"secret: what follows {SECRET_PREFIX} is no base64. Fix: take another secret") from e


def _name(kind: type[Group]) -> str:
    return next(name for name, group in GROUPS.items() if group is kind)


def _plain(group: Group) -> dict[str, Any]:
    found = {name: getattr(group, name) for name in type(group).model_fields}
    return {name: v.get_secret_value() if isinstance(v, SecretStr) else v for name, v in found.items()}


def _in_words(error: Any) -> str:
    field = ".".join(map(str, error["loc"])) or "settings"
    if error["type"] == "extra_forbidden":
        return f"{field}: no such setting. Fix: leave it out, or check its spelling"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{field}: {message[:1].lower()}{message[1:]}. Fix: give another value"


def _for_owner_alone(studio: Studio) -> None:
    """There are secrets in the database now: other users of this machine must not read it."""
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            os.chmod(f"{studio.database.path}{suffix}", 0o600)
