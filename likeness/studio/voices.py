"""Voices of the studio: cloned, kept from a training, imported or copied. Each lies in `voices/ID/`, a folder as
`likeness voice clone` makes it, with its consent; its row is what is looked up.
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Select, func, or_, select, true
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session

from likeness import durable
from likeness.config.voice import RECORD, REFERENCE, SAMPLE, VoiceRecord
from likeness.dataset.wording import one_line
from likeness.errors import Conflict, InputError, NotFound
from likeness.service import voices as files
from likeness.service.voices import Clone, Say
from likeness.service.workers import Order
from likeness.store.tables import Job, Share, Voice, new_id
from likeness.studio import models, queue, recordings, said, shelves, trust, voice_engines, waveforms
from likeness.studio.file_names import file_stem
from likeness.studio.generations import in_fields
from likeness.studio.models import DAYS_IN_BIN, LONGEST_TEXT
from likeness.studio.queue import Entry
from likeness.studio.recordings import Recording
from likeness.studio.said import FORMATS, Speech
from likeness.studio.supervisor import Ending
from likeness.studio.voice_engines import Language
from likeness.studio.workspace import Studio

SUBJECT = "voices"
THUMBNAIL = "thumbnail.png"
MOST_CLONED = 20  # recordings that one voice is made of
MOST_WORDS = 10  # of a search


@dataclass(frozen=True)
class CloneRequest:
    """`recordings`: ids; `consent`: who is heard and that they agree, kept with the voice; `base`: for pocket."""

    recordings: tuple[str, ...]
    name: str
    consent: str
    engine: str = "espeak"
    language: str = "en-us"
    base: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class SayRequest:
    """`voice`: id or name; `speed` and `strength` as service.voices.Say has them; `mark`: the watermark."""

    voice: str
    text: str
    speed: float = 1.0
    strength: float = 1.0
    seed: int = 0
    format: str = "wav"
    mark: bool = True


# --- made


def clone(studio: Studio, request: CloneRequest) -> Job:
    """Queue a voice to be made of recordings; the job's result has its `voice_id`.

    Raises InputError for what cannot be cloned, above all without consent; NotFound for recordings that are not there.
    """
    name, tags = models.plain_name(request.name), models.plain_tags(request.tags)
    voice_engines.check(request.engine, request.language, request.base)
    trust.check("base", request.base or "")
    if len(request.recordings) > MOST_CLONED:
        raise InputError(
            f"recordings: {len(request.recordings)} are too many. Fix: at most {MOST_CLONED}; 30 s are used"
        )
    found = recordings.get_all(studio, request.recordings)
    job_id, voice_id = new_id(), new_id()
    order = _clone_order(studio, request, found, studio.voices / voice_id)
    extra = {"voice_id": voice_id, "name": name, "tags": tags, "description": _plain_text(request.description)}
    entry = Entry(f"Clone: {name}", SUBJECT, extra, light=request.engine == "espeak")
    return queue.submit(studio, order, entry, job_id)


def _clone_order(studio: Studio, request: CloneRequest, found: Sequence[Recording], folder: Path) -> Order:
    """Of a voice that is made in `folder`. A worker that was killed may be started again: it makes the folder anew."""
    asked = Clone(
        paths=tuple(one.path for one in found),
        name=file_stem(request.name, "voice"),
        consent=request.consent,
        shelf=folder,
        engine=request.engine,
        language=request.language,
        base=request.base,
    )
    try:
        order = files.clone_order(asked)
    except InputError as e:
        raise in_fields(e, {}) from e
    return Order(order.verb, order.content | {"output": str(folder), "replace": True})


def take(studio: Studio, job: Job, result: dict[str, Any]) -> dict[str, Any] | None:
    """The end of a job 'voice-clone': the voice is in the library from now on."""
    if job.subject != SUBJECT:
        return None
    extra = job.extra
    voice = Voice(id=str(extra["voice_id"]), name=extra["name"], description=extra["description"], tags=extra["tags"])
    voice.origin = "clone"
    add(studio, voice)
    return {"voice_id": voice.id, "voice": voice.name}


def keep_epoch(studio: Studio, run_name: str, epoch: int | None, name: str) -> Voice:
    """Keep an epoch of a trained voice: None for the one that was suggested. Raises NotFound, InputError."""
    folder = studio.run_folder(run_name)
    source = folder if epoch is None else folder / "checkpoints" / f"epoch-{epoch:03d}"
    if not (source / ("run.json" if epoch is None else RECORD)).is_file():
        what = f"epoch {epoch} of run" if epoch is not None else "run"
        raise NotFound(f"epoch: there is no {what} '{one_line(run_name)[:80]}' with a voice. Fix: choose from its list")
    voice = Voice(id=new_id(), name=models.plain_name(name), origin="run", run=folder.name)
    files.keep(source, voice.id, studio.voices)
    kept = record(studio, voice)
    told = kept.values.get("epoch")
    voice.epoch = told if isinstance(told, int) else epoch
    if voice.epoch and (first := next((folder / "samples" / f"epoch-{voice.epoch:03d}").glob("prompt-1-*.wav"), None)):
        shutil.copyfile(first, studio.voices / voice.id / SAMPLE)
    return add(studio, voice)


def add(studio: Studio, voice: Voice) -> Voice:
    """The row of a voice whose folder is there: engine and language are told by it. The same one twice is one."""
    with studio.database.reading() as session:
        if known := session.get(Voice, voice.id):
            return known
    folder = studio.voices / voice.id
    try:
        told = record(studio, voice)
        voice.engine, voice.language = told.engine, told.language
        voice.tags, voice.description = list(voice.tags or []), voice.description or ""
        voice.thumbnail = THUMBNAIL if waveforms.draw(folder / REFERENCE, folder / THUMBNAIL) else None
        _write_words(studio, voice)
        with studio.database.session() as session:
            session.add(voice)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return voice


def duplicate(studio: Studio, voice_id: str, name: str = "") -> Voice:
    """A second entry with the same files, to be named and tagged otherwise. Raises NotFound."""
    old = get(studio, voice_id)
    new = Voice(
        id=new_id(), name=models.plain_name(name or f"{old.name[: models.LONGEST_NAME - 5]} copy"), origin="copy",
        description=old.description, run=old.run, epoch=old.epoch, tags=list(old.tags),
    )  # fmt: skip
    folder = studio.voices / old.id
    durable.write_folder(studio.voices / new.id, lambda partial: models.link_all(folder, partial))
    return add(studio, new)


# --- looked up


def get(studio: Studio, voice: str, *, binned: bool = False) -> Voice:
    """By id, or by a name that only one has. Raises NotFound where there is none, or it lies in the bin and `binned`
    does not allow for that; InputError where several have the name."""
    with studio.database.reading() as session:
        found = session.get(Voice, voice)
        if found is None:
            named = select(Voice).where(Voice.name == voice, Voice.deleted.is_(None)).limit(2)
            several = list(session.scalars(named))
            if len(several) > 1:
                raise InputError(f"voice: several are called '{one_line(voice)[:80]}'. Fix: take the id of one")
            found = several[0] if several else None
    return _there(found, voice, binned)


def _there(found: Voice | None, voice: str, binned: bool = False) -> Voice:
    if found is None:
        raise NotFound(f"voice: there is no '{one_line(voice)[:80]}'. Fix: take an id from the list of voices")
    if found.deleted is not None and not binned:
        raise NotFound(f"voice: '{found.name}' is in the bin. Fix: put it back first")
    return found


def listed(
    studio: Studio,
    words: str = "",
    tag: str | None = None,
    archived: bool = False,
    binned: bool = False,
    limit: int = 60,
    offset: int = 0,
) -> tuple[list[Voice], int]:
    """One page, newest first, and how many there are in all. Every one of `words` stands in name, description,
    language, engine or a tag."""
    where = (words, tag, archived, binned)
    with studio.database.reading() as session:
        total = session.scalar(_where(select(func.count()).select_from(Voice), *where)) or 0
        query = _where(select(Voice), *where).order_by(Voice.created.desc(), Voice.id).offset(offset).limit(limit)
        return list(session.scalars(query)), total


def _where(query: Select[Any], words: str, tag: str | None, archived: bool, binned: bool) -> Select[Any]:
    query = query.where(Voice.deleted.is_not(None) if binned else Voice.deleted.is_(None))
    if not binned:
        query = query.where(Voice.archived == archived)
    each = func.json_each(Voice.tags).table_valued("value")
    if tag is not None:
        query = query.where(select(1).select_from(each).where(each.c.value == tag.strip().lower()).exists())
    for word in words.split()[:MOST_WORDS]:
        texts = (Voice.name, Voice.description, Voice.language, Voice.engine)
        tagged = select(1).select_from(each).where(each.c.value.icontains(word, autoescape=True)).exists()
        query = query.where(or_(tagged, *(text.icontains(word, autoescape=True) for text in texts)))
    return query


def tags(studio: Studio) -> dict[str, int]:
    """Tags of all voices outside of archive and bin, with how many have each, most first."""
    each = func.json_each(Voice.tags).table_valued("value")
    query = select(each.c.value, func.count()).select_from(Voice).join(each, true())
    query = query.where(Voice.deleted.is_(None), Voice.archived.is_(False)).group_by(each.c.value)
    with studio.database.reading() as session:
        rows = [(str(row[0]), int(row[1])) for row in session.execute(query)]
    return dict(sorted(rows, key=lambda row: (-row[1], row[0])))


def record(studio: Studio, voice: Voice) -> VoiceRecord:
    """What its folder tells: consent, reference, figures, notes. Raises NotFound where somebody took it away."""
    try:
        return files.read_record(studio.voices / voice.id)
    except NotFound as e:
        raise NotFound(f"voice: the files of '{voice.name}' are gone. Fix: put them back, or delete it") from e


def file_of(studio: Studio, voice: Voice, name: str) -> Path:
    """REFERENCE, SAMPLE or THUMBNAIL of a voice. Raises NotFound where it has none."""
    path = studio.voices / voice.id / name
    if name not in (REFERENCE, SAMPLE, THUMBNAIL) or not path.is_file():
        raise NotFound(f"voice: '{voice.name}' has no {one_line(name)[:40]}. Fix: there is nothing to fetch")
    return path


def languages() -> list[Language]:
    """What the default engine speaks."""
    return voice_engines.languages()


# --- changed


def change(
    studio: Studio,
    voice_id: str,
    *,
    name: str | None = None,
    description: str | None = None,
    tags: Sequence[str] | None = None,
    archived: bool | None = None,
) -> Voice:
    """What is given changes. Raises NotFound, InputError."""
    with studio.database.session() as session:
        voice = _row(session, voice_id)
        if name is not None:
            voice.name = models.plain_name(name)
        if description is not None:
            voice.description = _plain_text(description)
        if tags is not None:
            voice.tags = models.plain_tags(tags)
        if archived is not None:
            voice.archived = archived
        _write_words(studio, voice)
    return voice


def delete(studio: Studio, voice_id: str) -> Voice:
    """Into the bin, for DAYS_IN_BIN days; its links stop working. Raises NotFound."""
    with studio.database.session() as session:
        voice = _row(session, voice_id)
        voice.deleted = time.time()
    return voice


def restore(studio: Studio, voice_id: str) -> Voice:
    """Out of the bin. Raises NotFound where it is gone."""
    with studio.database.session() as session:
        voice = _there(session.get(Voice, voice_id), voice_id, binned=True)
        voice.deleted = None
    return voice


def remove(studio: Studio, voice_id: str) -> None:
    """Out of the bin for good, with its files and all it said. Raises Conflict for one not in it, NotFound."""
    with studio.database.session() as session:
        voice = _there(session.get(Voice, voice_id), voice_id, binned=True)
        if voice.deleted is None:
            raise Conflict(f"voice: '{voice.name}' is not in the bin. Fix: delete it first")
        session.execute(delete_rows(Share).where(Share.voice_id == voice.id))
        session.delete(voice)
    shutil.rmtree(studio.voices / voice_id, ignore_errors=True)
    said.forget_all(studio, voice_id)


def empty_bin(studio: Studio, older_than: float = DAYS_IN_BIN * 86400) -> int:
    """Remove what has lain in the bin for more than so many seconds; how many voices that were."""
    return shelves.empty_bin(studio, Voice, studio.voices, remove, older_than)


def _row(session: Session, voice_id: str) -> Voice:
    return _there(session.get(Voice, voice_id), voice_id)


def _plain_text(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise InputError(f"description: is longer than {LONGEST_TEXT:,} characters. Fix: make it shorter")
    return text.strip()


def _write_words(studio: Studio, voice: Voice) -> None:
    """Name and tags in its folder too: what it says tells them, and so do copies of the folder."""
    told = record(studio, voice)
    reference = told.reference.model_copy(update={"file": Path(told.reference.file).name})
    words = {"name": file_stem(voice.name, "voice"), "tags": list(voice.tags), "reference": reference}
    new = told.model_copy(update=words)
    if new != told:
        durable.write_text(studio.voices / voice.id / RECORD, new.model_dump_json(indent=2))


# --- heard


def say(studio: Studio, request: SayRequest) -> Job:
    """Queue a text to be spoken; `speech` with the job's id tells what became of it. Raises NotFound, InputError."""
    voice = get(studio, request.voice)
    engine = record(studio, voice).engine
    voice_engines.check_here(engine)
    if request.format not in FORMATS:
        raise InputError(f"format: there is no '{one_line(request.format)[:20]}'. Fix: one of {', '.join(FORMATS)}")
    job_id = new_id()
    asked = Say(
        voice=str(studio.voices / voice.id),
        text=request.text,
        output=said.sound_path(studio, job_id, request.format),
        shelf=studio.voices,
        seed=request.seed,
        speed=request.speed,
        strength=request.strength,
        mark=request.mark,
    )
    try:
        order = files.say_order(asked)
    except InputError as e:
        raise in_fields(e, {}) from e
    title = f"{voice.name} says: {one_line(request.text)[:80]}"
    settled = {key: value for key, value in asdict(request).items() if key != "voice"}
    entry = Entry(title, f"{said.SUBJECT}{voice.id}", {"request": settled}, light=engine == "espeak")
    return queue.submit(studio, order, entry, job_id)


def spoken(studio: Studio, voice_id: str, limit: int = 20, offset: int = 0) -> tuple[list[Speech], int]:
    """What a voice said, newest first, and how much there is in all. Raises NotFound."""
    return said.listed(studio, get(studio, voice_id, binned=True).id, limit, offset)


def speech(studio: Studio, job_id: str) -> Speech:
    """Raises NotFound where nothing was said by that id, or it was forgotten."""
    return said.get(studio, job_id)


def forget(studio: Studio, job_id: str) -> Speech:
    """Take away a sound and its words, for good; what still runs is canceled. Raises NotFound."""
    return said.forget(studio, job_id)


def verify(studio: Studio, recording_id: str) -> Job:
    """Queue the question whether a recording is made speech. Raises NotFound."""
    return recordings.verify(studio, recording_id)


ENDINGS: dict[str, Ending] = {"voice-clone": take}
