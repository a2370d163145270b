"""Runs: check what is asked, freeze it into a run folder, start it, go on with it."""

import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from likeness import __version__, durable
from likeness.config.data import DatasetConfig
from likeness.config.load import Loaded, config_digest, config_to_dict, read_config
from likeness.config.plan import Plan, Suggestion, count_steps, hold_out_size, suggestions
from likeness.config.run import RunConfig
from likeness.dataset.audit import Finding, findings
from likeness.dataset.buckets import bucket_size, drawing_size
from likeness.dataset.captions import apply_triggers
from likeness.dataset.holdout import split
from likeness.dataset.ingest import open_rgb, read_folder, unused_files
from likeness.dataset.manifest import Example, read_manifest, write_manifest
from likeness.dataset.order import count_batches
from likeness.dataset.pairs import read_pairs
from likeness.errors import InputError
from likeness.service.workers import Worker

# Settings that may differ when a run goes on: they do not change what has been learned so far.
_FREE_ON_RESUME = (
    "hardware.",
    "train.epochs",
    "train.state_every",
    "train.save_every",
    "train.sample_every",
    "train.probe_every",
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


def prepare(path: Path, overrides: list[str] | None = None) -> Prepared:
    """Read settings and data, and check them. Raises InputError with every problem found; loads no model."""
    loaded = read_config(path, overrides or [])
    config, card = loaded.config, loaded.card
    examples, problems = _read_examples(loaded)
    problems += _prompt_problems(loaded)
    if problems:
        raise InputError(*problems)
    examples = apply_triggers(examples, config.trigger or None)
    examples = split(examples, hold_out_size(len(examples), config.data.hold_out), config.train.seed)
    resolution = config.data.resolution or card.resolution
    found = findings(
        examples,
        kind=config.kind,
        trigger=config.trigger or None,
        resolution=resolution,
        max_caption_tokens=card.text_tokens,
    )
    plan = _plan(examples, config, resolution, card.multiple)
    return Prepared(loaded, examples, plan, found, _left_out(loaded), suggestions(len(examples), config, card))


def _left_out(loaded: Loaded) -> list[str]:
    if loaded.config.kind == "edit":
        return []  # pairs: a file that belongs to none is refused
    return [line for d in loaded.config.data.datasets for line in unused_files(Path(d.path), Path(d.path).name)]


def _read_examples(loaded: Loaded) -> tuple[list[Example], list[str]]:
    examples: list[Example] = []
    problems: list[str] = []
    for number, dataset in enumerate(loaded.config.data.datasets):
        key = f"data.datasets.{number}.path"
        label = f"{loaded.sources.get(key, loaded.path.name)}: {key}"
        try:
            examples += _read_dataset(loaded.config, dataset, number, label)
        except InputError as e:
            problems += e.problems
    return examples, problems


def _read_dataset(config: RunConfig, dataset: DatasetConfig, number: int, label: str) -> list[Example]:
    path = Path(dataset.path)
    if config.kind == "edit":
        return read_pairs(path, repeats=dataset.repeats, instruction=dataset.instruction, dataset=number, label=label)
    caption = dataset.caption or config.trigger or None
    return read_folder(path, repeats=dataset.repeats, caption=caption, dataset=number, label=label)


def _prompt_problems(loaded: Loaded) -> list[str]:
    """Test prompts need a readable source picture for edits, and a base that takes one."""
    problems: list[str] = []
    sampling = loaded.config.sampling
    for number, prompt in enumerate(sampling.prompts):
        where = f"{loaded.path.name}: sampling.prompts.{number}.reference"
        if prompt.reference is None:
            if loaded.config.kind == "edit":
                problems.append(f"{where}: an edit needs a source picture to be tried on. Fix: add `reference: FILE`")
            continue
        if not loaded.card.edits:
            problems.append(f"{where}: base '{loaded.card.name}' takes no source pictures. Fix: leave it out")
            continue
        try:
            source = open_rgb(Path(prompt.reference))
        except InputError as e:
            problems += [f"{where}: {p}" for p in e.problems]
            continue
        width, height = prompt.width or sampling.width, prompt.height or sampling.height
        size = drawing_size(width, height, source, loaded.card.resolution, loaded.card.multiple)
        if problem := loaded.card.edit_size_problem(*size):
            problems.append(f"{where}: {problem}")
    return problems


def _plan(examples: list[Example], config: RunConfig, resolution: int, multiple: int) -> Plan:
    """The length of the run, exact for several buckets too: each bucket's last batch may be smaller."""
    train = config.train
    kept = [e for e in examples if not e.held_out]
    counts: dict[int, list[int]] = {}
    for e in kept:
        counts.setdefault(e.dataset, [0, e.repeats])[0] += 1
    plan = count_steps(
        [(n, repeats) for n, repeats in counts.values()],
        train.epochs,
        train.batch_size,
        train.gradient_accumulation,
        held_out=len(examples) - len(kept),
    )
    buckets = [(bucket_size(e.width, e.height, resolution, multiple), e.repeats) for e in kept]
    per_epoch = -(-count_batches(buckets, train.batch_size) // train.gradient_accumulation)
    if per_epoch == plan.steps_per_epoch:
        return plan
    note = f"{plan.arithmetic}; {per_epoch * train.epochs} with one size per batch"
    return replace(plan, steps_per_epoch=per_epoch, steps=per_epoch * train.epochs, arithmetic=note)


def start(prepared: Prepared, workspace: Path) -> Path:
    """Freeze the run into its folder. Raises InputError if a run of that name is there already."""
    folder = workspace / prepared.config.name
    if (folder / "run.json").exists():
        raise InputError(
            f"{folder}: a run of this name is there already. Fix: go on with it (--resume), choose another name "
            f"(--set name={prepared.config.name}-2), or remove the folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder / "manifest.jsonl", prepared.examples)
    durable.write_text(folder / "run.json", json.dumps(_frozen(prepared), indent=2))
    return folder


def discard(folder: Path) -> None:
    """Take back a run that its worker refused (a device that is not there, say), so that it can be started again.

    Only what `start` and the worker made is removed, and nothing of a run that has begun to train.
    """
    if any((folder / name).exists() for name in ("state", "checkpoints", "samples")):
        return
    for name in ("cache", "tensorboard"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("run.json", "manifest.jsonl", "events.jsonl", "log.txt", "lock", "report.html", "grid.png"):
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):  # something else lies there
        folder.rmdir()


def _frozen(prepared: Prepared) -> dict[str, Any]:
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
        "digest": config_digest(prepared.config),
    }


def resume(prepared: Prepared, workspace: Path) -> Path:
    """The folder of a run to go on with, brought up to date where that is allowed.

    Raises InputError when there is no such run, or when settings or data have changed since it started.
    """
    folder = workspace / prepared.config.name
    if not (folder / "run.json").exists():
        raise InputError(f"{folder}: there is no run to resume. Fix: leave --resume out to start it")
    frozen: dict[str, Any] = json.loads((folder / "run.json").read_text())
    problems = _changed_settings(prepared, frozen) + _changed_data(
        prepared.examples, read_manifest(folder / "manifest.jsonl")
    )
    if problems:
        raise InputError(*problems)
    fresh = _frozen(prepared)
    if prepared.config.hardware.threads is None:  # asked for, it wins; the last bits may differ then
        fresh["config"]["hardware"]["threads"] = frozen["config"]["hardware"]["threads"]
    durable.write_text(folder / "run.json", json.dumps(fresh, indent=2))
    return folder


def _changed_settings(prepared: Prepared, frozen: dict[str, Any]) -> list[str]:
    then, now = _flat(frozen["config"]), _flat(config_to_dict(prepared.config))
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


def _changed_data(now: list[Example], then: list[Example]) -> list[str]:
    """A run learns from what it started with: tell what is different now."""
    before, after = ({(e.path, e.sha256, e.caption, e.reference_sha256) for e in side} for side in (then, now))
    if before == after:
        return []
    names = sorted({Path(path).name for path, *_ in before ^ after})
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
