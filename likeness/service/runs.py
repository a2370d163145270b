"""Runs: check what is asked, freeze it into a run folder, start it, go on with it."""

import hashlib
import json
import os
import re
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from likeness import __version__, durable, events
from likeness.config.load import Loaded, config_digest, config_to_dict, read_config
from likeness.config.plan import Plan, Suggestion, hold_out_size, suggestions
from likeness.config.run import RunConfig
from likeness.dataset.buckets import drawing_size
from likeness.dataset.checks import Finding
from likeness.dataset.formats import open_rgb
from likeness.dataset.geometry import with_crops
from likeness.dataset.holdout import split
from likeness.dataset.manifest import Example, read_manifest, write_manifest
from likeness.errors import InputError
from likeness.service.checking import as_problems, findings_of
from likeness.service.measuring import measuring_problems
from likeness.service.plans import plan_run, with_tiles
from likeness.service.reading import open_index, problems_of, read_datasets
from likeness.service.workers import Worker

_CHECKPOINT = re.compile(r"(?P<run>[^/\\]+)[/\\]checkpoints[/\\]epoch-(?P<epoch>\d+)\.safetensors$")
# Settings that may differ when a run goes on: they do not change what has been learned so far.
_FREE_ON_RESUME = (
    "hardware.",
    "model.offline",
    "train.epochs",
    "train.state_every",
    "train.save_every",
    "train.sample_every",
    "train.probe_every",
    "train.early_stop",
    "train.keep_best",
    "scorecard.",
    "description",
)


@dataclass(frozen=True)
class Prepared:
    """A run that passed every check; nothing has been written yet."""

    loaded: Loaded
    examples: list[Example]
    plan: Plan
    findings: list[Finding]
    notes: list[str]  # files in the folders that are left out
    suggestions: list[Suggestion]

    @property
    def config(self) -> RunConfig:
        return self.loaded.config


def prepare(path: Path, overrides: list[str] | None = None, stage: str | None = None) -> Prepared:
    """Read settings and data, and check them. Raises InputError with every problem found; loads no model.

    `stage`: which one, of settings that have several (see `service.stages`).

    What was measured of the pictures is kept (see `service.reading`), so that the next time is faster.
    """
    loaded = read_config(path, overrides or [], stage)
    if loaded.config.stages:
        raise InputError(f"{path.name}: stages: this is several runs. Fix: train it with `likeness train {path.name}`")
    config, card = loaded.config, loaded.card
    readings = read_datasets(loaded)
    examples, wrong_crops = with_crops([e for reading in readings for e in reading.examples])
    problems = problems_of(loaded, readings) + wrong_crops + _prompt_problems(loaded)
    problems += _lora_problems(loaded)
    if problems:
        raise InputError(*problems)
    examples = split(examples, _hold_out_size(examples, config))
    if problems := measuring_problems(config, any(e.held_out for e in examples)):
        raise InputError(*problems)
    with open_index() as index:
        found = findings_of(examples, config.kind, card, config.data.sides(card.resolution), index)
    if stopping := as_problems(found, f"{path.name}: data.datasets"):
        raise InputError(*stopping)
    cut = with_tiles(examples, config, card)
    plan = plan_run(cut, config, card)
    own = sum(e.type == "train" for e in examples)
    notes = [note for reading in readings for note in reading.notes]
    return Prepared(loaded, cut.examples, plan, found, notes, suggestions(own, config, card))


def _hold_out_size(examples: list[Example], config: RunConfig) -> int:
    """Where a dataset is there to measure with, nothing is taken from the others by itself."""
    if config.data.hold_out == "auto" and any(e.type == "validation" for e in examples):
        return 0
    return hold_out_size(sum(e.type == "train" for e in examples), config.data.hold_out)


def _prompt_problems(loaded: Loaded) -> list[str]:
    """Test prompts need a readable source picture for edits, and a base that takes one."""
    problems: list[str] = []
    sampling = loaded.config.sampling
    for number, prompt in enumerate(sampling.prompts):
        where = f"{loaded.path.name}: sampling.prompts.{number}.reference"
        if not prompt.reference:
            if loaded.config.kind == "edit":
                problems.append(f"{where}: an edit needs a source picture to be tried on. Fix: add `reference: FILE`")
            continue
        if not loaded.card.edits:
            problems.append(f"{where}: base '{loaded.card.name}' takes no source pictures. Fix: leave it out")
            continue
        if len(prompt.reference) > loaded.card.max_references:
            problems.append(
                f"{where}: {len(prompt.reference)} source pictures are more than base '{loaded.card.name}' takes. "
                f"Fix: at most {loaded.card.max_references}"
            )
        try:
            source = [open_rgb(Path(path)) for path in prompt.reference][-1]
        except InputError as e:
            problems += [f"{where}: {p}" for p in e.problems]
            continue
        width, height = prompt.width or sampling.width, prompt.height or sampling.height
        size = drawing_size(width, height, source, loaded.card.resolution, loaded.card.multiple)
        if problem := loaded.card.edit_size_problem(*size):
            problems.append(f"{where}: {problem}")
    return problems


def _lora_problems(loaded: Loaded) -> list[str]:
    """LoRA files that the settings name must be there; whether they fit is seen once the base is loaded."""
    lora = loaded.config.lora
    named = {"lora.start_from": lora.start_from, "lora.training_adapter": lora.training_adapter}
    return [
        f"{loaded.sources.get(key, loaded.path.name)}: {key}: {path} is not there. "
        "Fix: give the path of a .safetensors file"
        for key, path in named.items()
        if path not in (None, "auto", "off") and not Path(path).is_file()
    ]


def start(prepared: Prepared, workspace: Path, *, mock: bool = False) -> Path:
    """Freeze the run into its folder. Raises InputError if a run of that name is there already.

    `mock`: a run that only acts as if it trained (see `worker.mocking`), and is marked so.
    """
    folder = workspace / prepared.config.name
    if (folder / "run.json").exists():
        raise InputError(
            f"{folder}: a run of this name is there already. Fix: go on with it (--resume), choose another name "
            f"(--set name={prepared.config.name}-2), or remove the folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder / "manifest.jsonl", prepared.examples)
    content = frozen(prepared) | ({"mock": True} if mock else {})
    durable.write_text(folder / "run.json", json.dumps(content, indent=2))
    return folder


def discard(folder: Path) -> None:
    """Take back a run that its worker refused (a device that is not there, say), so that it can be started again.

    Only what `start` and the worker made is removed, and nothing of a run that has begun to train.
    """
    if any((folder / name).exists() for name in ("state", "checkpoints", "samples")):
        return
    for name in ("cache", "tensorboard"):
        shutil.rmtree(folder / name, ignore_errors=True)
    files = ("run.json", "manifest.jsonl", "events.jsonl", "log.txt", "lock", "report.html", "grid.png")
    for name in (*files, "tile-captions.jsonl", events.SAMPLE_NOW):
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):  # something else lies there
        folder.rmdir()


def frozen(prepared: Prepared) -> dict[str, Any]:
    """What `run.json` will hold: all that decides the run, but for the pictures themselves."""
    card = prepared.loaded.card
    config = prepared.config
    threads = config.hardware.threads or os.cpu_count()
    # The thread count decides how sums are split, and so the last bits: it belongs to the run.
    config = config.model_copy(update={"hardware": config.hardware.model_copy(update={"threads": threads})})
    return {
        "likeness": __version__,
        "name": config.name,
        "config": config_to_dict(config),
        "sources": prepared.loaded.sources,
        "plan": asdict(prepared.plan),
        "base": {
            "name": card.name,
            "location": card.location,
            "family": card.family,
            "resolution": card.resolution,
            "pipeline_arguments": card.pipeline_arguments,
        },
        "parent": parent_of(config.lora.start_from),
        "digest": config_digest(prepared.config),
    }


def parent_of(start_from: str | None) -> dict[str, Any] | None:
    """The run and epoch whose LoRA a run goes on from, with the file's hash; None where it is none of a run."""
    found = _CHECKPOINT.search(start_from or "")
    if start_from is None or not found or not (Path(start_from).parents[1] / "run.json").is_file():
        return None
    sha256 = hashlib.sha256(Path(start_from).read_bytes()).hexdigest()
    return {"run": found["run"], "epoch": int(found["epoch"]), "path": start_from, "sha256": sha256}


def resume(prepared: Prepared, workspace: Path) -> Path:
    """The folder of a run to go on with, brought up to date where that is allowed.

    Raises InputError when there is no such run, or when settings or data have changed since it started.
    """
    folder = workspace / prepared.config.name
    if not (folder / "run.json").exists():
        raise InputError(f"{folder}: there is no run to resume. Fix: leave --resume out to start it")
    then: dict[str, Any] = json.loads((folder / "run.json").read_text())
    problems = _changed_settings(prepared, then) + _changed_data(
        prepared.examples, read_manifest(folder / "manifest.jsonl")
    )
    if problems:
        raise InputError(*problems)
    fresh = frozen(prepared)
    if prepared.config.hardware.threads is None:  # asked for, it wins; the last bits may differ then
        fresh["config"]["hardware"]["threads"] = then["config"]["hardware"]["threads"]
    fresh["base"]["commits"] = then["base"].get("commits", {})
    durable.write_text(folder / "run.json", json.dumps(fresh, indent=2))
    return folder


def _changed_settings(prepared: Prepared, before: dict[str, Any]) -> list[str]:
    then, now = _flat(before["config"]), _flat(config_to_dict(prepared.config))
    problems: list[str] = []
    for key in sorted({*then, *now}):
        if then.get(key) == now.get(key) or key.startswith(_FREE_ON_RESUME):
            continue
        place = prepared.loaded.sources.get(key, key)
        problems.append(
            f"{place}: {key} was {then.get(key)} when the run started and is {now.get(key)} now. "
            "Fix: put it back, or start a new run with another name"
        )
    epochs, schedule = prepared.config.train.epochs, prepared.config.optim.schedule
    if epochs != then.get("train.epochs") and schedule != "constant":
        problems.append(f"train.epochs: cannot change while the '{schedule}' schedule depends on it. Fix: put it back")
    return problems


def _identity(e: Example) -> tuple[object, ...]:
    """What an example is to the training."""
    return (e.path, e.sha256, e.caption, e.captions, e.reference_sha256s, e.mask_sha256, e.crop)


def _changed_data(now: list[Example], then: list[Example]) -> list[str]:
    """A run learns from what it started with: tell what is different now."""
    before, after = ({_identity(e) for e in side} for side in (then, now))
    if before == after:
        return []
    names = sorted({Path(str(path)).name for path, *_ in before ^ after})
    return [
        f"{', '.join(names[:5])}{' …' if len(names) > 5 else ''}: pictures or captions have changed since the run "
        "started. Fix: put them back, or start a new run with another name"
    ]


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            branch: dict[str, Any] = value
            flat |= _flat(branch, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def launch(folder: Path) -> Worker:
    """Start training the run in `folder`."""
    return Worker("train", folder)
