"""The job 'caption': write the captions of a dataset. Reads `job.json`, writes text files and `result.json`.

What is written stays, however the job ends; started again, it goes on with what is left.
"""

import fcntl
import json
import os
import re
import time
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from likeness import durable
from likeness.captioning import CaptionFailed, Engine, Look, Written, open_engine
from likeness.captioning.prompts import CONTEXT
from likeness.config.caption import CaptionConfig, ServerConfig, TaggerConfig
from likeness.config.data import DatasetConfig
from likeness.dataset.authorship import RECORD, Authorship, Place, find_places
from likeness.dataset.formats import open_rgb
from likeness.errors import LAST_WORDS, InputError, Interrupted, LikenessError, RunFailed
from likeness.events import EventLog, Stage
from likeness.worker.signals import StopRequest

UNFINISHED = RECORD.with_name("captioning.json")  # of a job that replaces captions, until all is replaced
WORDS_PER_TOKEN = 0.75  # of English prose, as a rule of thumb

_TOKENS_AT_LEAST = re.compile(r"\w+|[^\w\s]")  # no tokenizer needs fewer


@dataclass
class Outcome:
    """What came of a job, as `result.json` tells it."""

    folder: str
    engine: str
    model: str
    captioned: int = 0
    kept: dict[str, int] = field(default_factory=lambda: {"person": 0, "machine": 0})  # captions left as they are
    failed: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    not_tried: int = 0
    to_look_at: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])  # captions with a note
    notes: list[str] = field(default_factory=list[str])
    record: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class _Job:
    asked: dict[str, Any]  # what job.json says
    settings: CaptionConfig
    record: Authorship
    number: str  # under which the record has what this job wrote
    outcome: Outcome
    log: EventLog

    def may_write(self, author: str) -> bool:
        overwrite = self.asked["overwrite"]
        return author == "nobody" or overwrite == "all" or (overwrite == "machine" and author == "machine")


def run(folder: Path) -> int:
    """`job.json`: dataset, caption, server, tagger (groups of settings), overwrite ('none', 'machine' or 'all'),
    max_tokens (that the base reads, or null)."""
    asked: dict[str, Any] = json.loads((folder / "job.json").read_text())
    settings = _fitted(CaptionConfig.model_validate(asked["caption"]), asked["max_tokens"])
    found = find_places(DatasetConfig.model_validate(asked["dataset"]), settings.kind)
    with _locked(found.root):
        outcome = Outcome(str(found.root), settings.engine, settings.model, notes=found.notes)
        outcome.record = str(found.root / RECORD)
        number = _job_number(found.root, asked)
        job = _Job(asked, settings, Authorship(found.root), number, outcome, EventLog(folder / "events.jsonl"))
        began = time.monotonic()
        try:
            if todo := _to_do(found.places, job):
                _caption(todo, job)
        except LikenessError as e:
            outcome.notes += [] if isinstance(e, InputError) else [str(e)]
            raise
        finally:
            outcome.seconds = round(time.monotonic() - began, 3)
            durable.write_text(folder / "result.json", json.dumps(asdict(outcome), indent=2))
        if outcome.failed:
            print(f"{LAST_WORDS}{len(outcome.failed)} of {len(todo)} got no caption", flush=True)
            return RunFailed.exit_code
        (found.root / UNFINISHED).unlink(missing_ok=True)
    return 0


def _fitted(settings: CaptionConfig, max_tokens: int | None) -> CaptionConfig:
    """No longer than the base reads."""
    if max_tokens is None:
        return settings
    return settings.model_copy(update={"max_words": max(3, min(settings.longest, int(max_tokens * WORDS_PER_TOKEN)))})


def _to_do(places: list[Place], job: _Job) -> list[Place]:
    """The places to caption; the others are counted. A job that goes on leaves alone what it has written before."""
    todo: list[Place] = []
    mine = job.record.written_by(job.number)
    for place in places:
        author = job.record.author(place)
        if job.may_write(author) and not (author == "machine" and job.record.name(place) in mine):
            if not place.fixed or author == "nobody":
                todo.append(place)
                continue
            what = f"{place.pictures[-1]}: has its text in a list, which comes before text files"
            job.outcome.notes.append(f"{what}. Fix: change it there")
        if author != "nobody":
            job.outcome.kept[author] += 1
    return todo


def _caption(todo: list[Place], job: _Job) -> None:
    """Raises Interrupted when asked to stop, RunFailed when there is no use in going on."""
    outcome, log = job.outcome, job.log
    outcome.not_tried = len(todo)
    server = ServerConfig.model_validate(job.asked["server"])
    tagger = TaggerConfig.model_validate(job.asked["tagger"])
    engine = open_engine(job.settings, server, tagger, lambda name, done, total: log.write(_stage(name, done, total)))
    outcome.model = engine.captioner.model
    outcome.notes += engine.notes
    stop = StopRequest()
    log.write(_stage("captioning", 0, len(todo)))
    for place, result in _results(engine, todo, job.record, stop):
        outcome.not_tried -= 1
        if isinstance(result, CaptionFailed):
            images = [str(p) for p in place.pictures]
            outcome.failed.append({"images": images, "reason": result.reason, "message": str(result)})
        elif job.may_write(author := job.record.author(place)):
            _write(place, result, engine, job)
        else:  # a person was faster
            outcome.kept[author] += 1
        log.write(_stage("captioning", len(todo) - outcome.not_tried, len(todo)))
    if outcome.not_tried:
        raise Interrupted(f"stopped as asked; {outcome.captioned} captions are written. The same command goes on")


def _stage(name: str, done: int, total: int) -> Stage:
    return Stage(name="fetching" if name == "downloading" else name, done=done, total=total)


def _results(
    engine: Engine, todo: list[Place], record: Authorship, stop: StopRequest
) -> Iterator[tuple[Place, Written | CaptionFailed]]:
    asks_for_context = CONTEXT in engine.settings.prompt

    def load(place: Place) -> Look:
        pictures = tuple(open_rgb(path) for path in place.pictures)
        return Look(pictures, record.text(place) if asks_for_context else "")

    return engine.stream(todo, load, stop)


def _write(place: Place, written: Written, engine: Engine, job: _Job) -> None:
    notes, most = list(written.notes), job.asked["max_tokens"]
    if most is not None and len(_TOKENS_AT_LEAST.findall(written.text)) > most:
        notes.append(f"longer than the {most} tokens that the base reads; the end will be cut off")
    job.record.write(
        place,
        written.text,
        pictures=[os.path.relpath(p, job.record.root) for p in place.pictures],
        engine=engine.settings.engine,
        model=engine.captioner.model,
        prompt=written.prompt,
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        job=job.number,
    )
    job.outcome.captioned += 1
    if notes:
        job.outcome.to_look_at.append({"image": str(place.pictures[-1]), "text": written.text, "notes": notes})


def _job_number(root: Path, asked: dict[str, Any]) -> str:
    """The number of this job; that of an unfinished one which was asked for the same."""
    file = root / UNFINISHED
    asked = {key: asked[key] for key in ("caption", "server", "tagger", "overwrite")}
    if file.is_file():
        try:
            before: Any = json.loads(file.read_text())
            if before["asked"] == asked:
                return str(before["job"])
        except (ValueError, KeyError, TypeError):
            pass  # another will be written
    number = uuid.uuid4().hex[:12]
    durable.write_text(file, json.dumps({"job": number, "asked": asked}, indent=2))
    return number


@contextmanager
def _locked(root: Path) -> Generator[None]:
    """Hold the folder's captions. The kernel lets go when the process ends, however it ends."""
    place = root / RECORD.parent
    try:
        place.mkdir(exist_ok=True)
        lock = (place / "lock").open("w")
    except OSError as e:
        raise InputError(f"{place}: cannot be written ({e.strerror}). Fix: check the permissions of {root}") from e
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise InputError(f"{root}: is being captioned by another process. Fix: wait for it, or stop it") from e
        yield
