"""The job 'scorecard': measure the epochs of a run that has ended. Reads `job.json`; adds to the run's events, and
draws its report anew."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from likeness import durable
from likeness.dataset.manifest import read_manifest
from likeness.errors import InputError, Interrupted
from likeness.events import Event, EventLog, Note, Stage, read_events
from likeness.families import Family, names_of, open_family
from likeness.families.hub import fetch
from likeness.families.placement import choose_placement, set_up_torch
from likeness.judge.recommend import EpochEvidence, compare
from likeness.judge.verdict import evidence_of
from likeness.lora.apply import add_file, set_strengths
from likeness.report.history import History, read_history
from likeness.report.page import write_report
from likeness.sample.sampler import draw, encode_texts, save_png, settle
from likeness.train.loop import Job
from likeness.worker.epoch import checkpoint_path
from likeness.worker.scores import Scores, further_path, seeds_of
from likeness.worker.signals import StopRequest
from likeness.worker.training import locked, read_job


def run(folder: Path) -> int:
    """`job.json`: run, encoder, seeds, against (each may be null), device. Writes `result.json`: better, why."""
    asked: dict[str, Any] = json.loads((folder / "job.json").read_text())
    place = Path(asked["run"])
    told = EventLog(folder / "events.jsonl")
    stop = StopRequest()
    with locked(place):
        job = read_job(place)
        history = read_history(place)
        if job.config.hardware.threads:
            torch.set_num_threads(job.config.hardware.threads)
        if asked["seeds"] is not None:
            for event in _draw_further(job, history, int(asked["seeds"]), str(asked["device"]), stop):
                told.write(event)
        log = EventLog(place / "events.jsonl")
        scores = Scores(place, job.config, list(job.examples), job.card.name, asked["encoder"])
        for event in scores.again(_steps(history)):
            told.write(event)
            if not isinstance(event, Stage):
                log.write(event)
            if stop():
                raise Interrupted("stopped as asked; what was measured is kept")
        write_report(place)
    other = Path(asked["against"]) if asked.get("against") else None
    better, why = compare(_evidence(place), _evidence(other)) if other else ("", "")
    durable.write_text(folder / "result.json", json.dumps({"better": better, "why": why}))
    return 0


def _evidence(place: Path) -> list[EpochEvidence]:
    held_out = frozenset(e.id for e in read_manifest(place / "manifest.jsonl") if e.held_out)
    return evidence_of(read_events(place / "events.jsonl"), held_out)


def _steps(history: History) -> dict[int, int]:
    """The step of every epoch with test pictures; 0 where it is not known."""
    steps = {point.epoch: point.step for point in (*history.losses, *history.probes)}
    return {epoch: steps.get(epoch, 0) for epoch in history.epochs}


def _draw_further(job: Job, history: History, seeds: int, device: str, stop: StopRequest) -> Iterator[Event]:
    """Draw what is missing of each test prompt's pictures, at the base and at every epoch with a file.

    Raises InputError where the base cannot be loaded, Interrupted when asked to stop: what is drawn stays.
    """
    epochs = [0, *history.checkpoints]
    prompts = range(1, len(job.config.sampling.prompts) + 1)
    wanted = [(e, n, seed) for e in epochs for n in prompts for seed in seeds_of(job.config, n, seeds)[1:]]
    missing = [w for w in wanted if not further_path(job.folder, *w).exists()]
    if not missing:
        return
    if job.card.trains_text_encoder and job.config.optim.text_encoder_learning_rate:
        raise InputError("--seeds: this run trains its text encoder; set scorecard.seeds before training instead")
    yield Note(message=f"drawing {len(missing)} pictures")
    work = fetch(job.card)
    while True:
        try:
            yield next(work)
        except StopIteration as e:
            card = e.value
            break
    hardware = job.config.hardware.model_copy(update={"device": device} if device != "auto" else {})
    placement = choose_placement(hardware)
    set_up_torch(placement, hardware.threads)
    yield Stage(name="loading")
    family = open_family(card, placement)
    yield from _draw(family, replace(job, card=card), missing, stop)


def _draw(family: Family, job: Job, missing: list[tuple[int, int, int]], stop: StopRequest) -> Iterator[Event]:
    config = job.config
    requests = {
        n: settle(config.sampling.prompts[n - 1], config.sampling, job.card) for n in {n for _, n, _ in missing}
    }
    conditions = {n: encode_texts(family, request) for n, request in requests.items()}
    put_in = 0
    for done, (epoch, number, seed) in enumerate(missing):
        yield Stage(name="sampling", done=done, total=len(missing))
        if stop():
            raise Interrupted("stopped as asked; what was drawn is kept")
        if epoch != put_in:
            add_file(family.networks, checkpoint_path(job.folder, epoch), f"epoch-{epoch}", names_of(job.card))
            set_strengths(family.networks, {f"epoch-{epoch}": 1.0})
            put_in = epoch
        request = replace(requests[number], seed=seed)
        save_png(further_path(job.folder, epoch, number, seed), draw(family, request, conditions[number]), request)
