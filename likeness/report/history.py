"""What happened in a run, read back from its folder alone: `run.json`, the manifest, the events and the files there.

Only files that exist count, so a history can be read from a run that was killed, is still going or was copied.
"""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

from likeness.errors import InputError
from likeness.events import (
    CheckpointSaved,
    Event,
    ProbesMeasured,
    RunFinished,
    RunStarted,
    RunStopped,
    SampleSaved,
    StepDone,
    UpdateSkipped,
    VerdictGiven,
    read_events,
)  # fmt: skip

SMOOTHING = 0.97  # weight of the past: the smoothed loss looks back over some 30 steps
_SAMPLE_FILE = re.compile(r"epoch-(\d+)/prompt-(\d+)-seed-(\d+)\.\w+$")
_CHECKPOINT_FILE = re.compile(r"epoch-(\d+)\.safetensors$")


@dataclass(frozen=True)
class Prompt:
    """One test prompt. `index` counts from 1; `reference` is the source image of an edit."""

    index: int
    text: str
    seed: int | None
    reference: Path | None


class LossPoint(NamedTuple):
    step: int
    epoch: int
    loss: float


class ProbePoint(NamedTuple):
    """Mean losses at the fixed probes after an epoch (0: before training)."""

    epoch: int
    step: int
    train: float
    held_out: float | None


class Status(NamedTuple):
    """`word` is 'finished', 'interrupted', 'failed' or 'unfinished'; `text` says it with figures."""

    word: str
    text: str


@dataclass(frozen=True, kw_only=True)
class History:
    folder: Path
    name: str
    run_json: dict[str, Any]
    manifest: list[dict[str, Any]]  # one row per example
    epochs: list[int]  # those with samples, in order; 0 is the untrained base
    prompts: list[Prompt]
    samples: dict[tuple[int, int], Path]  # by (epoch, prompt index)
    checkpoints: dict[int, Path]  # by epoch
    losses: list[LossPoint]
    smoothed: list[LossPoint]
    probes: list[ProbePoint]
    skipped_updates: int
    verdict: VerdictGiven | None  # the latest
    started: RunStarted | None  # the latest start
    status: Status

    def config(self, dotted: str) -> Any:
        """A value of the run's configuration by its dotted key; None where it is missing or not set."""
        value: Any = self.run_json.get("config")
        for key in dotted.split("."):
            value = mapping(value).get(key)
        return value

    @property
    def has_references(self) -> bool:
        return any(p.reference for p in self.prompts)


def mapping(value: Any) -> dict[str, Any]:
    """`value` where it is a JSON object, otherwise an empty one: files of other versions are read leniently."""
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def read_history(run: Path) -> History:
    """Read a run folder. Raises InputError where `run` is not one."""
    run_json = _read_run_json(run)
    manifest = _read_manifest(run / "manifest.jsonl")
    events = list(read_events(run / "events.jsonl"))
    samples, seeds, texts = _find_samples(run, events)
    losses = _losses(events)
    return History(
        folder=run,
        name=str(run_json.get("name") or run.name),
        run_json=run_json,
        manifest=manifest,
        epochs=sorted({epoch for epoch, _ in samples}),
        prompts=_prompts(run, run_json, seeds, texts),
        samples=samples,
        checkpoints=_find_checkpoints(run, events),
        losses=losses,
        smoothed=smooth(losses),
        probes=_probes(events),
        skipped_updates=len({e.step for e in events if isinstance(e, UpdateSkipped)}),
        verdict=next((e for e in reversed(events) if isinstance(e, VerdictGiven)), None),
        started=next((e for e in reversed(events) if isinstance(e, RunStarted)), None),
        status=_status(events),
    )


def smooth(losses: Iterable[LossPoint]) -> list[LossPoint]:
    """Exponential moving average with bias correction, so that the first value is the first loss itself."""
    average, weight, out = 0.0, 0.0, list[LossPoint]()
    for point in losses:
        average = SMOOTHING * average + (1 - SMOOTHING) * point.loss
        weight = SMOOTHING * weight + (1 - SMOOTHING)
        out.append(point._replace(loss=average / weight))
    return out


def _read_run_json(run: Path) -> dict[str, Any]:
    path = run / "run.json"
    expected = "give the folder of a run, such as runs/maya: it holds run.json, events.jsonl, samples/, checkpoints/"
    if not run.is_dir():
        raise InputError(f"{run}: there is no such folder; {expected}")
    if not path.is_file():
        raise InputError(f"{run}: this is not a run, run.json is missing; {expected}")
    try:
        tree: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as e:
        raise InputError(f"{path}: not valid JSON ({e}); {expected}") from e
    if not isinstance(tree, dict):
        raise InputError(f"{path}: expected a JSON object; {expected}")
    return cast(dict[str, Any], tree)


def _read_manifest(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            rows.append(mapping(json.loads(line)))
        except ValueError as e:
            raise InputError(f"{path}:{number}: not valid JSON ({e})") from e
    return rows


def _inside(run: Path, relative: str) -> Path | None:
    """The file of an event, unless it is gone or lies outside the run folder (a report may be mailed)."""
    path = run / relative
    return path if path.is_file() and path.resolve().is_relative_to(run.resolve()) else None


def _find_samples(run: Path, events: list[Event]) -> tuple[dict[tuple[int, int], Path], dict[int, int], dict[int, str]]:
    """Pictures by (epoch, prompt), seeds and texts by prompt. The events know better than the file names."""
    paths: dict[tuple[int, int], Path] = {}
    seeds: dict[int, int] = {}
    texts: dict[int, str] = {}
    for path in sorted((run / "samples").glob("epoch-*/prompt-*-seed-*.*")):
        if match := _SAMPLE_FILE.search(path.as_posix()):
            epoch, prompt, seed = map(int, match.groups())
            paths[epoch, prompt], seeds[prompt] = path, seed
    for e in events:
        if isinstance(e, SampleSaved) and (path := _inside(run, e.path)):
            paths[e.epoch, e.prompt_index] = path
            seeds[e.prompt_index], texts[e.prompt_index] = e.seed, e.prompt
    return paths, seeds, texts


def _find_checkpoints(run: Path, events: list[Event]) -> dict[int, Path]:
    paths: dict[int, Path] = {}
    for path in (run / "checkpoints").glob("epoch-*.safetensors"):
        if match := _CHECKPOINT_FILE.search(path.name):
            paths[int(match[1])] = path
    for e in events:
        if isinstance(e, CheckpointSaved) and (path := _inside(run, e.path)):
            paths[e.epoch] = path
    return dict(sorted(paths.items()))


def _prompts(run: Path, run_json: dict[str, Any], seeds: dict[int, int], texts: dict[int, str]) -> list[Prompt]:
    sampling = mapping(mapping(run_json.get("config")).get("sampling"))
    found: Any = sampling.get("prompts")
    listed = cast(list[Any], found) if isinstance(found, list) else []
    by_index = {i: mapping(p) or {"prompt": p} for i, p in enumerate(listed, start=1)}
    prompts: list[Prompt] = []
    for index in sorted({*by_index, *seeds}):
        entry = by_index.get(index, {})
        text = texts.get(index) or str(entry.get("prompt") or f"prompt {index}")
        seed = seeds.get(index, entry.get("seed", sampling.get("seed")))
        prompts.append(Prompt(index, text, seed, find_picture(run, first(entry.get("reference")))))
    return prompts


def first(recorded: Any) -> Any:
    """The first of a list; anything else as it is."""
    return next(iter(recorded), None) if isinstance(recorded, list) else recorded  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def find_picture(run: Path, recorded: Any) -> Path | None:
    """A picture named in run.json or the manifest: absolute, in the run folder, or in its workspace (two up)."""
    if not isinstance(recorded, str) or not recorded:
        return None
    return next((p for root in (run, run.parent.parent) if (p := root / recorded).is_file()), None)


def _losses(events: list[Event]) -> list[LossPoint]:
    """By step; of a step taken twice (a resume) the last. A loss that is not finite has no place on a curve."""
    last = {e.step: LossPoint(e.step, e.epoch, e.loss) for e in events if isinstance(e, StepDone)}
    return [last[step] for step in sorted(last) if math.isfinite(last[step].loss)]


def _probes(events: list[Event]) -> list[ProbePoint]:
    found = (e for e in events if isinstance(e, ProbesMeasured))
    last = {e.epoch: ProbePoint(e.epoch, e.step, e.train_loss, e.held_out_loss) for e in found}
    return [last[epoch] for epoch in sorted(last)]


def _status(events: list[Event]) -> Status:
    step = max((e.step for e in events if isinstance(e, StepDone)), default=0)
    turns = [e for e in events if isinstance(e, RunStarted | RunFinished | RunStopped)]
    match turns[-1] if turns else None:
        case RunFinished() as e:
            minutes, seconds = divmod(round(e.seconds), 60)
            return Status("finished", f"finished: {e.step:,} steps in {minutes} min {seconds} s")
        case RunStopped() as e:
            word = "interrupted" if e.why == "interrupted" else "failed"
            return Status(word, f"{word} at step {e.step:,}" + (f": {e.message}" if e.message else ""))
        case RunStarted() as e:
            return Status("unfinished", f"unfinished: step {step:,} of {e.steps:,}")
        case _:
            return Status("unfinished", "unfinished: no step taken yet")
