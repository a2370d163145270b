"""Recordings: sound files that people bring or record, to be checked, mended and made voices of.

Each lies in `recordings/ID/NAME`, as it came; beside it what its last check found. What a sound holds is told by a job,
for nothing is decoded in this process.
"""

import json
import os
import re
import shutil
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from likeness import durable
from likeness.dataset.wording import one_line
from likeness.errors import InputError, NotFound
from likeness.report.history import mapping
from likeness.service import voices as sounds
from likeness.service.voices import SOUNDS, Check
from likeness.service.workers import Order
from likeness.store.tables import Job, new_id
from likeness.studio import queue
from likeness.studio.file_names import file_stem
from likeness.studio.generations import in_fields
from likeness.studio.queue import Entry
from likeness.studio.supervisor import Ending
from likeness.studio.uploads import Incoming, receiving
from likeness.studio.workspace import Studio

Purpose = Literal["instant", "trained"]

MOST_BYTES = 512 << 20  # 15 minutes of the finest recorders
MOST_AT_ONCE = 500  # recordings of one check
SUBJECT = "recordings"
CHECKED = "checked.json"  # in a recording's folder: figures and findings of its last check
_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class Recording:
    """`seconds` are known of WAV files at once, of others after a check. `checked`: figures, findings and purpose of
    the last check, empty before."""

    id: str
    name: str
    path: Path
    size_bytes: int
    created: float
    seconds: float | None
    checked: dict[str, Any]


# --- coming in


def receive(studio: Studio, incoming: Incoming) -> Recording:
    """Keep a file that has arrived; it is moved away. Raises InputError for one that cannot be a recording."""
    suffix = Path(incoming.name).suffix.lower()
    if suffix not in SOUNDS:
        raise InputError(
            f"file: {one_line(incoming.name)[:100]} is no recording that is read here. Fix: give {', '.join(SOUNDS)}; "
            f"of a video, take the sound out: ffmpeg -i video.mp4 -vn sound.wav"
        )
    if not incoming.received:
        raise InputError(f"file: {one_line(incoming.name)[:100]} is empty. Fix: record again")
    incoming.flush()
    return _keep(studio, incoming.path, f"{file_stem(Path(incoming.name).stem, 'recording')}{suffix}")


def receive_copy(studio: Studio, source: Path, name: str) -> Recording:
    """As `receive`, of a file that is here; it stays. `name`: as its owner calls it. Raises InputError."""
    if not source.is_file():
        raise NotFound(f"file: {one_line(str(source))[:200]} is not there. Fix: give the path of a recording")
    with receiving(studio, name, MOST_BYTES, source.stat().st_size) as incoming, source.open("rb") as f:
        while piece := f.read(1 << 20):
            incoming.write(piece)
        return receive(studio, incoming)


def _keep(studio: Studio, source: Path, name: str, recording_id: str = "") -> Recording:
    """Move a file of this workspace into a folder of its own."""
    recording_id = recording_id or new_id()
    durable.write_folder(studio.recordings / recording_id, lambda partial: os.replace(source, partial / name))
    return get(studio, recording_id)


# --- looking up


def get(studio: Studio, recording_id: str) -> Recording:
    """Raises NotFound."""
    found = _read(studio.recordings / recording_id) if _ID.fullmatch(recording_id) else None
    if found is None:
        raise NotFound(f"recording: there is no '{one_line(recording_id)[:40]}'. Fix: record or upload it again")
    return found


def get_all(studio: Studio, recording_ids: Sequence[str]) -> list[Recording]:
    """Each once, in their order. Raises InputError for none or too many, NotFound."""
    if not 0 < len(recording_ids) <= MOST_AT_ONCE:
        raise InputError(f"recordings: {len(recording_ids)} are given. Fix: give 1 to {MOST_AT_ONCE}")
    return [get(studio, recording_id) for recording_id in dict.fromkeys(recording_ids)]


def recent(studio: Studio, limit: int = 50) -> list[Recording]:
    """The newest first."""
    places = studio.recordings.iterdir() if studio.recordings.is_dir() else ()
    found = [recording for place in places if _ID.fullmatch(place.name) and (recording := _read(place))]
    return sorted(found, key=lambda one: (-one.created, one.id))[:limit]


def remove(studio: Studio, recording_id: str) -> None:
    """For good: voices that were made of it have their own part of it. Raises NotFound."""
    shutil.rmtree(get(studio, recording_id).path.parent)


def _read(folder: Path) -> Recording | None:
    try:
        path = next(p for p in sorted(folder.iterdir()) if p.suffix.lower() in SOUNDS and not p.name.startswith("."))
        facts = path.stat()
    except (OSError, StopIteration):
        return None
    checked = _checked(folder)
    seconds = mapping(checked.get("figures")).get("seconds")
    told = float(seconds) if isinstance(seconds, int | float) else wave_seconds(path)
    return Recording(folder.name, path.name, path, facts.st_size, facts.st_mtime, told, checked)


def _checked(folder: Path) -> dict[str, Any]:
    try:
        return mapping(json.loads((folder / CHECKED).read_text()))
    except (OSError, ValueError):
        return {}


def wave_seconds(path: Path) -> float | None:
    """How long a WAV file is by its header; None for another, or one whose header cannot be."""
    try:
        with wave.open(str(path)) as sound:
            return round(sound.getnframes() / sound.getframerate(), 3)
    except (OSError, EOFError, wave.Error, ZeroDivisionError, ValueError, RuntimeError):
        return None


# --- checked and mended


def check(studio: Studio, recording_ids: Sequence[str], purpose: Purpose = "instant") -> Job:
    """Queue a check. The job's result has a row for each, with `recording` (its id), `name`, `figures` and `findings`,
    and findings about all together. Raises InputError, NotFound."""
    found = get_all(studio, recording_ids)
    order = checking(Check(tuple(one.path for one in found), purpose, keep_going=True))
    title = f"Check: {found[0].name}" if len(found) == 1 else f"Check: {len(found)} recordings"
    return queue.submit(studio, order, Entry(title, SUBJECT, _names(found), light=True))


def mend(studio: Studio, recording_id: str, purpose: Purpose = "instant") -> Job:
    """Queue a mended copy: trimmed, denoised, at an even loudness, as its check advises. It becomes a recording of its
    own, whose id is the job's result `recording`; where nothing is to be mended, that is the old one's. Raises
    NotFound."""
    found, job_id = get(studio, recording_id), new_id()
    output = studio.jobs / job_id / f"{found.path.stem.removesuffix('-mended')}-mended.wav"
    order = checking(Check((found.path,), purpose, fix=True, output=output))
    extra = {**_names([found]), "mends": found.id, "becomes": new_id(), "output": str(output)}
    return queue.submit(studio, order, Entry(f"Mend: {found.name}", SUBJECT, extra, light=True), job_id)


def verify(studio: Studio, recording_id: str) -> Job:
    """Queue the question whether a sound is made speech; the result's `made` is the answer. Raises NotFound."""
    found = get(studio, recording_id)
    entry = Entry(f"Is it made speech: {found.name}", SUBJECT, _names([found]), light=True)
    return queue.submit(studio, sounds.verify_order(found.path), entry)


def checking(asked: Check) -> Order:
    """Raises InputError, in the words of fields."""
    try:
        return sounds.check_order(asked)
    except InputError as e:
        raise in_fields(e, {}) from e


def _names(found: Sequence[Recording]) -> dict[str, Any]:
    return {"recordings": {str(one.path.resolve()): one.id for one in found}}


def take_check(studio: Studio, job: Job, result: dict[str, Any]) -> dict[str, Any] | None:
    """The end of a job 'voice-check': what was found lies beside each recording; a mended copy is one of its own."""
    if job.subject != SUBJECT:
        return None
    ids = mapping(job.extra.get("recordings"))
    rows = [_row(ids, row) for row in map(mapping, result.get("recordings") or [])]
    for row in rows:
        folder = studio.recordings / row["recording"]
        if folder.is_dir():  # it may have been removed meanwhile
            _write_checked(folder, row, str(result.get("purpose")))
    if "mends" not in job.extra:
        return {"recordings": rows}
    return {"recordings": rows, **_take_mended(studio, job, rows[0], str(result.get("purpose")))}


def _row(ids: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    path = Path(str(row["path"]))
    return {"recording": str(ids[str(path)]), "name": path.name, **{k: v for k, v in row.items() if k != "path"}}


def _take_mended(studio: Studio, job: Job, row: dict[str, Any], purpose: str) -> dict[str, Any]:
    mended, output = mapping(row.pop("mended", None)), Path(str(job.extra["output"]))
    if not mended:
        return {"recording": job.extra["mends"], "done": []}
    becomes = str(job.extra["becomes"])
    new = _read(studio.recordings / becomes) or _keep(studio, output, output.name, becomes)  # it may be told twice
    _write_checked(new.path.parent, mended, purpose)
    return {"recording": new.id, "name": new.name, "done": mended["done"], "figures": mended["figures"],
            "findings": mended["findings"]}  # fmt: skip


def _write_checked(folder: Path, row: dict[str, Any], purpose: str) -> None:
    told = {"purpose": purpose, "figures": row.get("figures"), "findings": row["findings"]}
    durable.write_text(folder / CHECKED, json.dumps(told, indent=2))


def take_verified(studio: Studio, job: Job, result: dict[str, Any]) -> dict[str, Any] | None:
    """The end of a job 'voice-verify': the answer, without the place of the file."""
    if job.subject != SUBJECT:
        return None
    path = Path(str(result["path"]))
    made = bool(mapping(result["watermark"]).get("marked")) or bool(result.get("provenance"))
    return {"made": made, "path": path.name, "recording": mapping(job.extra.get("recordings")).get(str(path))}


ENDINGS: dict[str, Ending] = {"voice-check": take_check, "voice-verify": take_verified}
