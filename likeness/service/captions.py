"""Captions written by machines: check what is asked, start a worker on it, tell what came of it."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from likeness.catalog import resolve_base
from likeness.config.caption import CaptionConfig, ServerConfig, TaggerConfig
from likeness.errors import InputError, Interrupted, LikenessError, RunFailed
from likeness.service.datasets import kind_of
from likeness.service.workers import Order, Worker

_FORESEEN = (0, RunFailed.exit_code, Interrupted.exit_code)  # else the log is needed to see what broke

Overwrite = Literal["none", "machine", "all"]


@dataclass(frozen=True)
class CaptionJob:
    """`overwrite`: which captions that are there may be replaced: none, a machine's that no person has changed, or
    all; a person's words are then kept in the record. `base`: whose text encoder captions should fit; None for any."""

    path: Path  # a folder, or a list of pairs
    caption: CaptionConfig = field(default_factory=CaptionConfig)
    server: ServerConfig = field(default_factory=ServerConfig)
    tagger: TaggerConfig = field(default_factory=TaggerConfig)
    overwrite: Overwrite = "none"
    subfolders: bool = False
    base: str | None = None


def order(job: CaptionJob) -> Order:
    """Check the request. Raises InputError where there is no such dataset or base."""
    if not job.path.exists():
        raise InputError(f"{job.path}: no such folder. Fix: give the path of a folder with pictures")
    settings = job.caption
    if "kind" not in settings.model_fields_set:
        settings = settings.model_copy(update={"kind": kind_of(job.path)})
    content = {
        "dataset": {"path": str(job.path.resolve()), "subfolders": job.subfolders},
        "caption": settings.model_dump(mode="json"),
        "server": job.server.model_dump(mode="json"),
        "tagger": job.tagger.model_dump(mode="json"),
        "overwrite": job.overwrite,
        "max_tokens": resolve_base(job.base).text_tokens if job.base else None,
    }
    return Order("caption", content)


@dataclass(frozen=True)
class Outcome:
    """What came of a job. `error`: why it was not finished, or that some pictures failed; None where all went well."""

    result: dict[str, Any]
    error: LikenessError | None


def finish(worker: Worker) -> Outcome:
    """Wait for the worker. Raises InputError where nothing could be begun; what is told of single pictures is in the
    result."""
    error: LikenessError | None = None
    try:
        worker.check()
    except (RunFailed, Interrupted) as e:
        error = e
        if not (worker.folder / "result.json").exists():
            raise
    except InputError:
        shutil.rmtree(worker.folder)
        raise
    result: dict[str, Any] = json.loads((worker.folder / "result.json").read_text())
    if worker.process.poll() in _FORESEEN:
        shutil.rmtree(worker.folder)
    return Outcome(result, error)
