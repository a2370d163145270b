"""The studio's tables. Changing one needs a new step in `migrations/versions` (a test compares the two).

Times are seconds since 1970. Paths are relative to the studio's folder unless they say otherwise.
"""

import secrets
import time
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# Names, so that SQLite's tables can be altered by later steps.
_NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


def new_id() -> str:
    """Twelve hex digits: short enough for a URL, and never two alike."""
    return secrets.token_hex(6)


class Table(DeclarativeBase):
    metadata = MetaData(naming_convention=_NAMES)


class Dataset(Table):
    """Pictures with captions, or pairs, in `datasets/ID/files/`, in the layout that `likeness dataset check` reads."""

    __tablename__ = "dataset"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]  # as RunConfig.kind
    trigger: Mapped[str] = mapped_column(default="")
    base: Mapped[str] = mapped_column(default="")  # that it is checked for; empty for none
    description: Mapped[str] = mapped_column(default="")
    created: Mapped[float] = mapped_column(default=time.time)
    updated: Mapped[float] = mapped_column(default=time.time, onupdate=time.time)
    deleted: Mapped[float | None]  # in the bin since then


class DatasetVersion(Table):
    """A dataset as it was: `datasets/ID/versions/NUMBER/` holds its files, linked rather than copied."""

    __tablename__ = "dataset_version"
    dataset_id: Mapped[str] = mapped_column(ForeignKey("dataset.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)  # from 1
    digest: Mapped[str]  # SHA-256 of names, contents and captions
    pictures: Mapped[int]
    note: Mapped[str] = mapped_column(default="")
    created: Mapped[float] = mapped_column(default=time.time)


class Job(Table):
    """Work for a process of its own: an entry of the queue, and later what became of it."""

    __tablename__ = "job"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    verb: Mapped[str]  # of the worker: train, sample, caption …
    title: Mapped[str]  # for people
    folder: Mapped[str]  # absolute; where the worker works: the run's, or the job's own
    subject: Mapped[str] = mapped_column(default="", index=True)  # what it is for: 'run:NAME', 'dataset:ID' …
    extra: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)  # what its end needs to know
    state: Mapped[str] = mapped_column(default="queued", index=True)  # see studio.queue
    priority: Mapped[int] = mapped_column(default=0)  # larger goes first
    position: Mapped[float]  # within a priority, smaller goes first
    light: Mapped[bool] = mapped_column(default=False)  # needs no device: does not wait for one
    device: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(default=0)
    stopping: Mapped[str | None]  # 'paused' or 'canceled': what it was asked to become
    stops_asked: Mapped[int] = mapped_column(default=0)
    stops_sent: Mapped[int] = mapped_column(default=0)  # to the worker; the second makes it end without saving
    error: Mapped[str | None]
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    created: Mapped[float] = mapped_column(default=time.time, index=True)
    started: Mapped[float | None]
    ended: Mapped[float | None]
    seen: Mapped[bool] = mapped_column(default=False)  # a person has looked at its end

    __table_args__ = (Index("ix_job_turn", "state", "priority", "position"),)


class Run(Table):
    """What the studio knows of a run beyond its folder. Runs trained elsewhere in the workspace need no row."""

    __tablename__ = "run"
    name: Mapped[str] = mapped_column(primary_key=True)
    dataset_id: Mapped[str | None] = mapped_column(index=True)
    dataset_version: Mapped[int | None]
    parent_run: Mapped[str | None]  # that it went out from
    parent_epoch: Mapped[int | None]
    chosen_epoch: Mapped[int | None]
    plan_digest: Mapped[str] = mapped_column(default="")
    note: Mapped[str] = mapped_column(default="")
    created: Mapped[float] = mapped_column(default=time.time, index=True)
    archived: Mapped[bool] = mapped_column(default=False)
    deleted: Mapped[float | None]


class Model(Table):
    """A LoRA in the library. Its file lies in `models/ID/`."""

    __tablename__ = "model"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(index=True)
    description: Mapped[str] = mapped_column(default="")
    file: Mapped[str]  # name of the .safetensors file in its folder
    sha256: Mapped[str] = mapped_column(index=True)
    size_bytes: Mapped[int]
    base: Mapped[str]
    family: Mapped[str] = mapped_column(default="")
    kind: Mapped[str] = mapped_column(default="character", index=True)
    trigger: Mapped[str] = mapped_column(default="")
    strength: Mapped[float] = mapped_column(default=1.0)  # at which it is best used
    origin: Mapped[str]  # 'run', 'merge', 'import' or 'copy'
    run: Mapped[str | None] = mapped_column(index=True)
    epoch: Mapped[int | None]
    parents: Mapped[list[str]] = mapped_column(JSON, default=list)  # models it was made of
    thumbnail: Mapped[str | None]  # picture in its folder
    examples: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)  # pinned pictures with their settings
    card: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)  # how it was trained and what was measured
    created: Mapped[float] = mapped_column(default=time.time, index=True)
    updated: Mapped[float] = mapped_column(default=time.time, onupdate=time.time)
    archived: Mapped[bool] = mapped_column(default=False)
    deleted: Mapped[float | None]


class Voice(Table):
    """A voice in the library: cloned, trained, imported or copied. Its folder is `voices/ID/`, with `voice.json`."""

    __tablename__ = "voice"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(index=True)
    description: Mapped[str] = mapped_column(default="")
    engine: Mapped[str]  # as config.voice.ENGINES
    language: Mapped[str]
    origin: Mapped[str]  # 'clone', 'run', 'import' or 'copy'
    run: Mapped[str | None] = mapped_column(index=True)
    epoch: Mapped[int | None]
    tags: Mapped[list[str]] = mapped_column(JSON, default=list)
    thumbnail: Mapped[str | None]  # picture in its folder
    created: Mapped[float] = mapped_column(default=time.time, index=True)
    updated: Mapped[float] = mapped_column(default=time.time, onupdate=time.time)
    archived: Mapped[bool] = mapped_column(default=False)
    deleted: Mapped[float | None]


class Tag(Table):
    """A word on a model."""

    __tablename__ = "tag"
    model_id: Mapped[str] = mapped_column(ForeignKey("model.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(primary_key=True, index=True)


class Picture(Table):
    """A generated picture with everything that it takes to draw it again."""

    __tablename__ = "picture"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    job_id: Mapped[str] = mapped_column(index=True)
    file: Mapped[str]  # in `pictures/`
    base: Mapped[str]
    prompt: Mapped[str]
    settings: Mapped[dict[str, Any]] = mapped_column(JSON)  # as worker/sampling tells them, with the LoRAs
    created: Mapped[float] = mapped_column(default=time.time, index=True)
    pinned: Mapped[bool] = mapped_column(default=False)
    deleted: Mapped[float | None]


class Share(Table):
    """A link by which a model or a voice may be looked at and fetched, without a key, until it expires."""

    __tablename__ = "share"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    token_sha256: Mapped[str] = mapped_column(unique=True)
    model_id: Mapped[str | None] = mapped_column(ForeignKey("model.id", ondelete="CASCADE"), index=True)
    voice_id: Mapped[str | None] = mapped_column(ForeignKey("voice.id", ondelete="CASCADE"), index=True)
    created: Mapped[float] = mapped_column(default=time.time)
    expires: Mapped[float]

    __table_args__ = (CheckConstraint("(model_id IS NULL) <> (voice_id IS NULL)", name="ck_share_one"),)


class ApiKey(Table):
    """Who may call. Only the key's hash is kept."""

    __tablename__ = "api_key"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    sha256: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)  # see studio.keys
    created: Mapped[float] = mapped_column(default=time.time)
    used: Mapped[float | None]
    revoked: Mapped[float | None]


class Answered(Table):
    """A request that came with an idempotency key, and its answer, given again for the same request."""

    __tablename__ = "answered"
    key: Mapped[str] = mapped_column(primary_key=True)  # with who asked
    request_sha256: Mapped[str]  # method, path and body
    status: Mapped[int | None]  # None while it is worked on
    body: Mapped[str] = mapped_column(default="")
    created: Mapped[float] = mapped_column(default=time.time, index=True)


class Setting(Table):
    """A setting of the studio, by group: 'mail', 'webhooks', 'queue' …"""

    __tablename__ = "setting"
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[dict[str, Any]] = mapped_column(JSON)
