"""Runs of a workspace: started from a plan, followed, stopped, gone on with, chosen from, put away."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from likeness import durable
from likeness.config.tree import is_list, parse_key
from likeness.errors import Conflict, InputError, NotFound
from likeness.events import SAMPLE_NOW
from likeness.report.history import mapping
from likeness.service import runs, voice_runs
from likeness.store.tables import Dataset, Job, Run
from likeness.studio import plan_versions, queue, run_names
from likeness.studio.planning import Planned, checked, plan
from likeness.studio.queue import Entry
from likeness.studio.run_names import free_name, subject_of
from likeness.studio.run_summaries import (
    VOICE,
    RunSummary,
    folder_of,
    job_of,
    listed,
    pictures_only,
    summary_of,
)
from likeness.studio.run_views import RunView, view
from likeness.studio.workspace import Studio

__all__ = [
    "Planned", "RunSummary", "RunView", "Started", "archive", "choose", "extend", "folder_of", "free_name", "listed",
    "note", "plan", "resume", "retrain", "sample_now", "start", "stop", "subject_of", "summary_of", "view",
]  # fmt: skip
LONGEST_NOTE = 5000


@dataclass(frozen=True)
class Started:
    """A run that is in the queue."""

    name: str
    job: Job
    planned: Planned


def start(
    studio: Studio,
    config: dict[str, Any],
    digest: str,
    *,
    parent_run: str | None = None,
    parent_epoch: int | None = None,
    note: str = "",
    priority: int = 0,
    mock: bool = False,
) -> Started:
    """Freeze the run of a plan and queue it: exactly the one that `plan` told `digest` of.

    `parent_run`: whose settings it was made from; one whose LoRA it goes on from is known anyway. `mock`: walk through
    all states and events in seconds and learn nothing. Raises Conflict where the plan is no longer that one, the name
    is taken or the queue is full; InputError as `plan` does.
    """
    planned = plan(studio, config)
    if planned.digest != digest:
        raise Conflict(
            "digest: settings, pictures or captions have changed since this plan was made, or it is another's. Fix: "
            "plan again and start that"
        )
    name, prepared = planned.name, planned.prepared
    origin = runs.parent_of(prepared.config.lora.start_from)
    row = Run(
        name=name,
        dataset_id=planned.datasets[0].dataset_id if planned.datasets else None,
        dataset_version=planned.datasets[0].version if planned.datasets else None,
        parent_run=origin["run"] if origin else parent_run,
        parent_epoch=origin["epoch"] if origin else parent_epoch,
        plan_digest=digest,
        note=note,
    )
    run_names.claim(studio, row)
    plan_versions.keep(studio, [(use.dataset_id, use.version) for use in planned.datasets], name)
    folder = None
    try:
        folder = runs.start(prepared, studio.workspace, mock=mock)
        job = _queue(studio, name, folder, mock=mock, priority=priority)
    except BaseException:
        if folder is not None:
            runs.discard(folder)
        run_names.release(studio, name)
        raise
    return Started(name, job, planned)


# --- while it trains


def stop(studio: Studio, name: str, become: Literal["paused", "canceled"] = "canceled") -> Job:
    """Ask a run to save and end, or take it out of the queue; it can go on later. A second time ends it at once.

    Raises NotFound, and Conflict where nothing trains it, or something that is not the queue's.
    """
    job = job_of(studio, name)
    if job is None or job.state in queue.ENDED:
        state = summary_of(studio, name).state
        if state == "running":
            raise Conflict(f"run '{name}' is trained from a command line. Fix: press Ctrl-C there")
        raise Conflict(f"run '{name}' is not being trained ({state}). Fix: there is nothing to stop")
    return queue.ask_to_stop(studio, job.id, become)


def resume(studio: Studio, name: str) -> Job:
    """Queue a run that stopped before its end; it goes on where it was. Raises NotFound, Conflict."""
    folder, summary = folder_of(studio, name), summary_of(studio, name)
    if summary.state in ("running", "queued"):
        raise Conflict(f"run '{name}' is {summary.state} already. Fix: wait for it")
    if summary.state == "finished":
        raise Conflict(f"run '{name}' has finished. Fix: train a new one from its settings or from one of its epochs")
    job = job_of(studio, name)
    if job is not None and job.state in ("paused", "failed", "canceled"):
        return queue.queue_again(studio, job.id)
    return _go_on(studio, name, folder, summary)


def extend(studio: Studio, name: str, epochs: int) -> Job:
    """Go on with a finished run until it has `epochs`, exactly as if it had been that long from the start.

    Raises NotFound; Conflict where it has not finished, is no longer than it was, or its schedule or pictures do not
    allow it.
    """
    folder, summary = folder_of(studio, name), summary_of(studio, name)
    if summary.state != "finished" or summary.mock:
        what = "is a mock" if summary.mock else f"has not finished ({summary.state})"
        raise Conflict(f"run '{name}' {what}. Fix: only a real run that has finished can become longer")
    if epochs <= summary.epochs:
        raise Conflict(f"epochs: run '{name}' has {summary.epochs} already. Fix: give a larger number")
    try:
        _lengthen(studio, folder, summary, epochs)
    except InputError as e:
        raise Conflict(*e.problems) from e
    return _go_on(studio, name, folder, summary)


def _lengthen(studio: Studio, folder: Path, summary: RunSummary, epochs: int) -> None:
    """Write the new length into the run. Raises InputError where that cannot be."""
    if summary.kind == VOICE:
        config = mapping(mapping(json.loads((folder / "run.json").read_text())).get("config"))
        config["train"] = mapping(config.get("train")) | {"epochs": epochs}
        voice_runs.resume(voice_runs.prepare(voice_runs.run_config(config)), studio.workspace)
        return
    config = _written(folder)
    config["train"] = mapping(config.get("train")) | {"epochs": epochs}
    runs.resume(checked(studio, config)[0], studio.workspace)


def sample_now(studio: Studio, name: str) -> None:
    """Have the test prompts drawn with the LoRA as it is, at the next step. Raises NotFound, Conflict."""
    folder, found = pictures_only(studio, name), view(studio, name)
    if found.summary.state != "running":
        raise Conflict(f"run '{name}' is not being trained ({found.summary.state}). Fix: look at its epochs")
    if not found.prompts:
        raise Conflict(f"run '{name}' has no test prompts to draw. Fix: generate pictures with one of its epochs")
    durable.write_text(folder / SAMPLE_NOW, "")


def _go_on(studio: Studio, name: str, folder: Path, summary: RunSummary) -> Job:
    if summary.kind == VOICE:
        return queue.submit_training(
            studio, folder, Entry(f"Train {name}", subject_of(name), {"run": name}), "voice-train"
        )
    return _queue(studio, name, folder, mock=summary.mock)


def _queue(studio: Studio, name: str, folder: Path, *, mock: bool, priority: int = 0) -> Job:
    entry = Entry(f"Train {name}", subject_of(name), {"run": name}, light=mock, priority=priority)
    return queue.submit_training(studio, folder, entry, "mock" if mock else "train")


# --- after


def choose(studio: Studio, name: str, epoch: int | None) -> None:
    """Note which epoch to take; None: none. Raises NotFound for one without a LoRA."""
    there = view(studio, name).choices
    if epoch is not None and epoch not in there:
        told = ", ".join(map(str, there)) or "none yet"
        raise NotFound(f"epoch: run '{name}' has no LoRA of epoch {epoch}. Fix: choose from: {told}")
    _note(studio, name, chosen_epoch=epoch)


def note(studio: Studio, name: str, text: str) -> None:
    """Keep a note on a run."""
    folder_of(studio, name)
    _note(studio, name, note=text[:LONGEST_NOTE])


def archive(studio: Studio, name: str, *, archived: bool = True) -> None:
    """Take a run out of the usual list, or put it back."""
    folder_of(studio, name)
    _note(studio, name, archived=archived)


def _note(studio: Studio, name: str, **values: Any) -> None:
    created = summary_of(studio, name).created
    with studio.database.session() as session:
        row = session.get(Run, name)
        if row is None or row.deleted is not None:  # trained by the command line, or another run had the name
            if row is not None:
                session.delete(row)
                session.flush()
            row = Run(name=name, created=created)
            session.add(row)
        for column, value in values.items():
            setattr(row, column, value)


# --- from one run to the next


def retrain(studio: Studio, name: str, epoch: int | None = None) -> dict[str, Any]:
    """Settings for a run like this one: what was written for it, without what are defaults. With `epoch`, it goes on
    from that LoRA. Raises NotFound, Conflict for a trained voice."""
    settings = _written(pictures_only(studio, name)) | {"name": free_name(studio, name)}
    if epoch is not None:
        if epoch not in view(studio, name).choices:
            raise NotFound(f"epoch: run '{name}' has no LoRA of epoch {epoch}. Fix: take one of its epochs")
        settings["lora"] = mapping(settings.get("lora")) | {"start_from": f"run:{name}/{epoch}"}
    return cast(dict[str, Any], _with_names(studio, settings))


def _written(folder: Path) -> dict[str, Any]:
    """The settings that were written for a run, as a tree: what is a default, or the base's own, is left out."""
    frozen = mapping(json.loads((folder / "run.json").read_text()))
    config, sources = mapping(frozen.get("config")), mapping(frozen.get("sources"))
    settings: dict[str, Any] = {}
    for dotted, source in sources.items():
        key = parse_key(dotted)
        found, value = _at(config, key)
        if found and source != "default" and not str(source).startswith(("card ", "run ")):
            _put(settings, key, value)
    return cast(dict[str, Any], _as_lists(settings))


def _at(tree: Any, key: tuple[str | int, ...]) -> tuple[bool, Any]:
    for part in key:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            return False, None
    return True, tree


def _put(tree: dict[Any, Any], key: tuple[str | int, ...], value: Any) -> None:
    """Lists are groups of numbered entries until `_as_lists`."""
    for part in key[:-1]:
        tree = tree.setdefault(part, {})
    tree[key[-1]] = value


def _as_lists(tree: Any, key: tuple[str | int, ...] = ()) -> Any:
    if not isinstance(tree, dict):
        return tree
    group = cast(dict[Any, Any], tree)
    if is_list(key) and all(isinstance(part, int) for part in group):
        return [_as_lists(group[n], (*key, n)) for n in sorted(group)]
    return {part: _as_lists(value, (*key, part)) for part, value in group.items()}


def _with_names(studio: Studio, value: Any) -> Any:
    """Paths into frozen datasets as the names of the datasets, which may have been improved since."""
    if isinstance(value, dict):
        return {key: _with_names(studio, inner) for key, inner in cast(dict[Any, Any], value).items()}
    if isinstance(value, list):
        return [_with_names(studio, inner) for inner in cast(list[Any], value)]
    if not isinstance(value, str) or not value.startswith(f"{studio.datasets}/"):
        return value
    dataset_id, _, *rest = Path(value).relative_to(studio.datasets).parts
    with studio.database.reading() as session:
        dataset = session.get(Dataset, dataset_id)
    if dataset is None or dataset.deleted is not None or not rest:
        return value
    return "/".join([f"dataset:{dataset.name}", *rest[1:]])
