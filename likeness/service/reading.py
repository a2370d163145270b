"""The datasets of a run, read with what is kept from earlier times."""

import os
from collections import Counter
from pathlib import Path

from likeness.config.load import Loaded
from likeness.dataset.index import FILE_NAME, Index
from likeness.dataset.ingest import Progress, Reading, read_dataset

MOST_OF_A_KIND = 20  # problems of one dataset; with more, a person sees what is wrong no better


def cache_folder() -> Path:
    """Where what is made of datasets is kept: the index of measured files, and archives unpacked. May be deleted."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "likeness"


def archive_folder() -> Path:
    """Where archives are unpacked."""
    return cache_folder() / "archives"


def open_index() -> Index:
    """The index that all runs share."""
    return Index(cache_folder() / FILE_NAME)


def read_datasets(loaded: Loaded, progress: Progress | None = None) -> list[Reading]:
    """Every dataset of a run, in order. Never raises for what is in them."""
    config = loaded.config
    with open_index() as index:
        return [
            read_dataset(
                dataset,
                index=index,
                store=archive_folder(),
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
    problems: list[str] = []
    for number, reading in enumerate(readings):
        place = place_of_dataset(loaded, number)
        told: Counter[str] = Counter()
        for problem in reading.problems:
            told[problem.check] += 1
            if told[problem.check] <= MOST_OF_A_KIND:
                problems.append(f"{place}: {problem.message}")
        problems += [
            f"{place}: {count - MOST_OF_A_KIND} more problems of this kind ({check}). Fix: see all with `likeness "
            f"dataset check {loaded.path.name} --json`"
            for check, count in told.items()
            if count > MOST_OF_A_KIND
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
