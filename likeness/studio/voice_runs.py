"""Trained voices: a run whose recordings lie in the studio, planned, started, heard epoch by epoch.

A run of a voice is a run: it is stopped, gone on with, archived and deleted as others are (see `runs`). Its recordings
are frozen into its own folder, each with what is said in it.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from likeness import durable
from likeness.config.voice import LESSON_SECONDS, VoiceRunConfig
from likeness.dataset.wording import one_line
from likeness.errors import Conflict, InputError, NotFound
from likeness.report.history import mapping
from likeness.service import voice_runs as service
from likeness.service.voice_runs import PreparedVoice
from likeness.store.tables import Job, Run
from likeness.studio import queue, recordings, run_names, runs, trust
from likeness.studio.generations import in_fields
from likeness.studio.queue import Entry
from likeness.studio.recordings import Recording
from likeness.studio.run_names import subject_of
from likeness.studio.voice_run_views import (
    CLIPS,
    VoiceRunView,
    clips,
    folder_of_voice,
    frozen,
    listed,
    reference,
    sound,
    view,
    voice_folder,
)
from likeness.studio.workspace import Studio

__all__ = [
    "Remark", "VoicePlan", "VoiceRunView", "clips", "folder_of_voice", "listed", "plan", "reference", "resume",
    "settings", "sound", "start", "stop", "view", "voice_folder",
]  # fmt: skip
LONGEST_TEXT = 2000  # characters said in one recording
_HUB = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_OWN_WORDS = ("recordings", "texts", "consent")  # of people, or names that are looked up: never a place on the server


@dataclass(frozen=True)
class Remark:
    """What the last check found of a recording."""

    recording: str  # id
    name: str
    check: str
    severity: Literal["error", "warning", "advice"]
    message: str
    fix: str
    mend: str | None


@dataclass(frozen=True)
class VoicePlan:
    """A run that passed every check that needs no hearing. Nothing of it exists yet.

    `digest` is over all that decides the run: settings, recordings, what is said in them.
    """

    digest: str
    prepared: PreparedVoice
    findings: list[Remark]
    notes: list[str]
    name_taken: bool  # there is a run of this name; the digest does not depend on it

    @property
    def name(self) -> str:
        return self.prepared.config.name

    @property
    def steps(self) -> int:
        return self.prepared.steps

    @property
    def epochs(self) -> int:
        return self.prepared.config.train.epochs

    @property
    def recordings(self) -> int:
        """Those that are learned from."""
        return self.prepared.learned

    @property
    def held_out(self) -> int:
        return len(self.prepared.manifest) - self.prepared.learned


@dataclass(frozen=True)
class _Asked:
    """Settings with the recordings that they name; none where they name a folder of this machine."""

    values: dict[str, Any]
    recordings: list[Recording] = field(default_factory=list[Recording])
    texts: dict[str, str] = field(default_factory=dict[str, str])  # by id

    def lay_out(self, folder: Path, *, keep: bool) -> None:
        """Put the recordings with their texts into a folder; `keep`: so that they stay when the originals go."""
        for one in self.recordings:
            place = folder / f"{one.path.stem}-{one.id}{one.path.suffix.lower()}"
            if keep:
                _link(one.path, place)
            else:
                place.symlink_to(one.path)
            if text := self.texts.get(one.id):
                place.with_suffix(".txt").write_text(text, "utf-8")


# --- before


def plan(studio: Studio, values: Mapping[str, Any]) -> VoicePlan:
    """Check the settings of a trained voice and tell what the run would be.

    `values`: as VoiceRunConfig has them, with `recordings`, a list of ids, and `texts`, what is said in each by id, in
    place of `data.clips`. Raises InputError with every problem found, NotFound for a recording that is not there.
    """
    return _planned(studio, _asked(studio, values))


def start(studio: Studio, values: Mapping[str, Any], digest: str, *, note: str = "", priority: int = 0) -> Job:
    """Freeze the run of a plan and queue it: exactly the one that `plan` told `digest` of.

    Raises Conflict where it is no longer that one, the name is taken or the queue is full; else as `plan` does.
    """
    asked = _asked(studio, values)
    planned = _planned(studio, asked)
    if planned.digest != digest:
        raise Conflict(
            "digest: settings, recordings or texts have changed since this plan was made, or it is another's. Fix: "
            "plan again and start that"
        )
    name, config = planned.name, planned.prepared.config
    run_names.claim(studio, Run(name=name, plan_digest=digest, note=note[: runs.LONGEST_NOTE]))
    folder = studio.run_folder(name)
    try:
        prepared = planned.prepared
        if asked.recordings:
            durable.write_folder(folder / CLIPS, lambda partial: asked.lay_out(partial, keep=True))
            prepared = service.prepare(_with_clips(config, folder / CLIPS))
        service.start(prepared, studio.workspace)
        entry = Entry(f"Train the voice {name}", subject_of(name), {"run": name}, priority=priority)
        return queue.submit_training(studio, folder, entry, "voice-train")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # the name was free, so all in it is from just now
        run_names.release(studio, name)
        raise


def settings(studio: Studio, name: str) -> dict[str, Any]:
    """Settings for a run like this one, under a free name; recordings that have been removed since are left out.

    Raises NotFound.
    """
    folder = folder_of_voice(studio, name)
    values = dict(mapping(frozen(folder).get("config")))
    data = dict(mapping(values.pop("data", None)))
    values.pop("kind", None)
    values["hardware"] = {"device": mapping(values.get("hardware")).get("device", "auto")}
    if Path(str(data.get("clips"))) == folder / CLIPS:
        del data["clips"]
        texts = {clip.recording: clip.text for clip in clips(studio, name) if clip.recording}
        there = [one for one in texts if _is_there(studio, one)]
        values |= {"recordings": there, "texts": {one: texts[one] for one in there if texts[one]}}
    return {**values, "name": run_names.free_name(studio, name), "data": data}


def _asked(studio: Studio, values: Mapping[str, Any]) -> _Asked:
    """Raises InputError for what cannot be the settings of a voice, NotFound for recordings that are not there."""
    try:
        trust.check_tree({key: value for key, value in values.items() if key not in _OWN_WORDS})
    except RecursionError as e:
        raise InputError("config: is nested too deep to be settings. Fix: give groups, lists and plain values") from e
    rest = {key: value for key, value in values.items() if key not in ("recordings", "texts")}
    data = rest.get("data", {})
    if "recordings" not in values:
        if "texts" in values:
            raise InputError("texts: are of recordings, and none are named. Fix: give recordings too")
        if isinstance(data, dict) and "clips" not in data:
            raise InputError("recordings: are missing. Fix: give the ids of recordings of one person")
        return _Asked(rest)
    if isinstance(data, dict) and "clips" in data:
        raise InputError("data.clips: is given beside recordings. Fix: leave one of them out")
    found = _recordings(studio, values["recordings"])
    texts = _texts(values.get("texts", {}), found)
    placed = {**cast(dict[str, Any], data), "clips": CLIPS} if isinstance(data, dict) else data
    return _Asked({**rest, "data": placed}, found, texts)


def _recordings(studio: Studio, asked: Any) -> list[Recording]:
    listed = cast(list[Any], asked) if isinstance(asked, list) else []
    if not listed or not all(isinstance(one, str) for one in listed):
        raise InputError(
            "recordings: should be a list of ids. Fix: upload recordings of one person, and give their ids"
        )
    found = recordings.get_all(studio, listed)
    least, most = LESSON_SECONDS
    problems = [
        f"recordings: {one.name} has {one.seconds:.1f} s; recordings of {least:g} to {most:g} s are learned from. Fix: "
        "cut it at pauses, with the text of each part"
        for one in found
        if one.seconds is not None and not least <= one.seconds <= most
    ]
    if problems:
        raise InputError(*problems)
    return found


def _texts(asked: Any, found: list[Recording]) -> dict[str, str]:
    """What is said by id, with plain spaces. Raises InputError."""
    if not isinstance(asked, dict):
        raise InputError("texts: should be what is said by the id of its recording. Fix: give {id: text}")
    given, ids, problems = cast(dict[str, Any], asked), {one.id for one in found}, list[str]()
    texts: dict[str, str] = {}
    for recording_id, text in given.items():
        place = f"texts.{one_line(recording_id)[:40]}"
        if recording_id not in ids:
            problems.append(f"{place}: is none of the recordings. Fix: leave it out, or name it among recordings")
        elif not isinstance(text, str) or len(text) > LONGEST_TEXT:
            problems.append(f"{place}: should be text of at most {LONGEST_TEXT} characters. Fix: write what is said")
        elif plain := " ".join(text.split()):
            texts[recording_id] = plain
    if problems:
        raise InputError(*problems)
    return texts


def _planned(studio: Studio, asked: _Asked) -> VoicePlan:
    try:
        config = service.run_config(asked.values)
        _check_base(config.base)
        _check_device(config)
        if not asked.recordings:
            prepared = service.prepare(config)
        else:
            _check_texts(asked, config)
            with tempfile.TemporaryDirectory(prefix="likeness-voice-") as place:
                asked.lay_out(Path(place), keep=False)
                prepared = service.prepare(_with_clips(config, Path(place)))
        taken = studio.run_folder(config.name).exists()  # refuses the studio's own folder
    except InputError as e:
        raise type(e)(*map(_plain, in_fields(e, {}).problems)) from e
    return VoicePlan(
        _digest(prepared, asked), prepared, list(_remarks(asked)), [*prepared.notes, *_notes(asked)], taken
    )


def _with_clips(config: VoiceRunConfig, clips: Path) -> VoiceRunConfig:
    return config.model_copy(update={"data": config.data.model_copy(update={"clips": str(clips)})})


def _check_texts(asked: _Asked, config: VoiceRunConfig) -> None:
    missing = [one.name for one in asked.recordings if one.id not in asked.texts]
    if missing and config.data.transcriber is None:
        names = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
        raise InputError(
            f"texts: {len(missing)} of {len(asked.recordings)} recordings have none ({names}). Fix: write what is said "
            "in each, or name a Whisper checkpoint as data.transcriber, such as openai/whisper-small"
        )


def _check_base(base: str) -> None:
    """What can be told of it without torch."""
    if Path(base).is_dir():
        if not (Path(base) / "config.json").is_file():
            raise InputError(f"base: {base} holds no Pocket TTS. Fix: name the folder with its config.json")
    elif not _HUB.fullmatch(base):
        raise InputError(f"base: nothing is at '{one_line(base)[:200]}'. Fix: a hub repository such as "
                         "eustlb/pocket-tts, or a folder with its files")  # fmt: skip


def _check_device(config: VoiceRunConfig) -> None:
    """The queue gives each run a device, and shows the worker no other."""
    device = config.hardware.device
    if device.startswith("cuda:"):
        raise InputError(
            f"hardware.device: '{device}' cannot be chosen; the queue gives each run one. Fix: leave it out"
        )


def _digest(prepared: PreparedVoice, asked: _Asked) -> str:
    config = prepared.config.model_dump(mode="json")
    if asked.recordings:
        config["data"]["clips"] = CLIPS  # where they are laid out decides nothing
    rows = [[row["id"], row["sha256"], row["text"], row["held_out"]] for row in prepared.manifest]
    return hashlib.sha256(json.dumps([config, rows], sort_keys=True).encode()).hexdigest()


def _remarks(asked: _Asked) -> list[Remark]:
    found: list[Remark] = []
    for one in asked.recordings:
        if one.checked.get("purpose") != "trained":
            continue
        for row in map(mapping, one.checked.get("findings") or []):
            words = {key: row.get(key) for key in ("check", "severity", "message", "fix", "mend")}
            found.append(Remark(one.id, one.name, **cast(dict[str, Any], words)))
    return found


def _notes(asked: _Asked) -> list[str]:
    unheard = [one for one in asked.recordings if one.checked.get("purpose") != "trained"]
    if not unheard:
        return []
    some = "no recording has" if len(unheard) == len(asked.recordings) else f"{len(unheard)} recordings have not"
    return [f"{some} been checked for training; a check tells of noise, clipping and other voices"]


def _plain(problem: str) -> str:
    """The command line's words as those of settings."""
    problem = problem.replace('consent "', '"') if problem.startswith("consent: ") else problem
    return problem.replace("see `likeness voice train --help`", "see the settings of a trained voice")


def _link(source: Path, target: Path) -> None:
    """The same file under another name, where the disk can: recordings never change."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a disk without links
        shutil.copyfile(source, target)


def _is_there(studio: Studio, recording_id: str) -> bool:
    try:
        recordings.get(studio, recording_id)
    except NotFound:
        return False
    return True


# --- while it trains


def stop(studio: Studio, name: str, become: Literal["paused", "canceled"] = "canceled") -> Job:
    """As `runs.stop` does. Raises NotFound, Conflict."""
    folder_of_voice(studio, name)
    return runs.stop(studio, name, become)


def resume(studio: Studio, name: str) -> Job:
    """As `runs.resume` does. Raises NotFound, Conflict."""
    folder_of_voice(studio, name)
    return runs.resume(studio, name)
