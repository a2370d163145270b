"""The datasets of a run, read with what is kept from earlier times."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from likeness.config.load import Loaded
from likeness.dataset.index import FILE_NAME, Index
from likeness.dataset.ingest import Progress, Reading, read_dataset

KEPT = ".kept"  # folder in a workspace: the index of measured files, and archives unpacked. May be deleted


def kept_folder(workspace: Path | None) -> Path:
    """Where what is made of datasets is kept between runs; without a workspace, where the system keeps such things."""
    if workspace is not None:
        return workspace.absolute() / KEPT
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "likeness"


@contextmanager
def open_index(workspace: Path | None) -> Generator[Index, None, None]:
    """The index of a workspace; without one, an empty one that is not kept."""
    with Index(kept_folder(workspace) / FILE_NAME if workspace is not None else None) as index:
        yield index


def read_datasets(loaded: Loaded, workspace: Path | None, progress: Progress | None = None) -> list[Reading]:
    """Every dataset of a run, in order. Never raises for what is in them."""
    config = loaded.config
    store = kept_folder(workspace) / "archives"
    with open_index(workspace) as index:
        return [
            read_dataset(
                dataset,
                index=index,
                store=store,
                kind=config.kind,
                trigger=config.trigger,
                number=number,
                progress=progress,
            )
            for number, dataset in enumerate(config.data.datasets)
        ]


def place_of_dataset(loaded: Loaded, number: int) -> str:
    """Where a dataset is named, for messages: 'maya.yaml:5: data.datasets.0.path'."""
    key = f"data.datasets.{number}.path"
    return f"{loaded.sources.get(key, loaded.path.name)}: {key}"


def problems_of(loaded: Loaded, readings: list[Reading]) -> list[str]:
    """Why a run cannot start with these datasets, one line each."""
    problems = [
        f"{place_of_dataset(loaded, number)}: {problem.message}"
        for number, reading in enumerate(readings)
        for problem in reading.problems
    ]
    examples = [e for reading in readings for e in reading.examples]
    most = loaded.card.max_references
    for e in examples:
        if len(e.references) > most:
            problems.append(
                f"{place_of_dataset(loaded, e.dataset)}: {e.path}: has {len(e.references)} source pictures, and base "
                f"'{loaded.card.name}' takes at most {most}. Fix: give it fewer"
            )
    if not problems and not any(e.type == "train" for e in examples):
        problems.append(
            f"{loaded.path.name}: data.datasets: there is nothing to train on. Fix: add a `type: train` one"
        )
    return problems
