"""The training run, from top to bottom: a generator of events that leaves its results in the run folder."""

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch

from likeness import events
from likeness.catalog import Card
from likeness.config.run import RunConfig
from likeness.dataset.manifest import Example
from likeness.dataset.order import Visit, count_batches, epoch_batches
from likeness.errors import InputError
from likeness.families import Family, memory, open_family
from likeness.families.placement import choose_placement, precision_name, set_up_torch
from likeness.functional.objective import weighted
from likeness.functional.randomness import derived_seed
from likeness.lora import inject as lora
from likeness.train import loader, optim, resume, starting
from likeness.train.cache import Cache
from likeness.train.conditions import conditions, differences
from likeness.train.ending import StopAsked, told_to_the_end
from likeness.train.step import micro_step, preserving_step
from likeness.train.updates import Updates


@dataclass(frozen=True)
class Job:
    """A frozen run, as `run.json` and `manifest.jsonl` describe it."""

    folder: Path
    config: RunConfig
    card: Card
    examples: Sequence[Example]
    digest: str  # of the configuration


Weights = dict[str, torch.Tensor]


class EpochEnd(Protocol):
    """What is made of the LoRA besides training it."""

    def __call__(self, epoch: int, step: int, weights: Weights) -> Generator[events.Event, None, str | None]:
        """After each epoch, and with epoch 0 before the first. It returns why the run should end there, if so."""
        ...

    def between(self, epoch: int, step: int, weights: Callable[[], Weights]) -> Generator[events.Event]:
        """After each step: what somebody asks for just now. It must change nothing of what is trained."""
        ...


MakeEpochEnd = Callable[[Job, Family, Sequence[loader.Item], Cache], EpochEnd]


def train(job: Job, should_stop: Callable[[], bool], make_epoch_end: MakeEpochEnd) -> Iterator[events.Event]:
    """Train until done, stopped or failed; goes on from the saved state if there is one.

    What is made of an epoch is the caller's: `make_epoch_end` is called while the text encoder is still loaded.
    Raises RunFailed when losses or gradients stay not finite; the last good state is on disk then.
    """
    return told_to_the_end(_train(job, should_stop, make_epoch_end))


def _train(
    job: Job, should_stop: Callable[[], bool], make_epoch_end: MakeEpochEnd
) -> Generator[events.Event, None, int]:
    config = job.config
    yield events.Stage(name="loading")
    family = _open_base(job)
    placement = family.placement
    cache = Cache(job.folder / "cache")
    state = resume.read_state(job.folder / "state")
    # So that a wrong setting is told before anything is encoded.
    start = starting.find_start(config.lora, family, state.numbers["files"] if state else None)
    now = conditions(placement, config.hardware)
    for message in (*start.notes, *(differences(state.numbers.get("conditions", now), now) if state else ())):
        yield events.Note(message=message)
    items: list[loader.Item] = []
    seed, epochs = config.train.seed, config.train.epochs
    spare = config.preserve.class_word if config.preserve.weight else None
    for progress in loader.prepare(family, job.examples, config.data, job.card.resolution, seed, cache, epochs, spare):
        if isinstance(progress, list):
            items = progress
            continue
        yield progress
        if should_stop():  # what is encoded stays in the cache
            raise StopAsked(state.step if state else 0)
    finish = make_epoch_end(job, family, items, cache)
    family.release_encoders()
    run = _Run(job, family, [i for i in items if not i.example.held_out], cache, start)
    run.load(state)

    def results(epoch: int) -> Generator[events.Event, None, bool]:
        """An epoch's results; returns whether the run ends with it. To stop among them loses nothing: going on makes
        what is missing."""
        work = finish(epoch, run.step, run.published())
        while True:
            try:
                event = next(work)
            except StopIteration as e:
                enough: str | None = e.value
                break
            yield event
            if should_stop():
                raise StopAsked(run.step)
        if enough:
            yield events.Note(message=enough)
        return bool(enough)

    yield events.RunStarted(
        name=config.name,
        steps=run.steps,
        epochs=config.train.epochs,
        images=len(run.items),
        device=str(placement.device),
        precision=precision_name(placement.dtype),
        resumed_at=run.step,
    )
    ended = False
    if run.step % run.steps_per_epoch == 0:
        ended = yield from results(run.step // run.steps_per_epoch)
    while run.step < run.steps and not ended:
        epoch = run.step // run.steps_per_epoch + 1
        for micro_batches in run.groups(epoch)[run.step % run.steps_per_epoch :]:
            yield run.update(micro_batches, epoch)
            stop, every = should_stop(), config.train.state_every
            if stop or (every and run.step % every == 0):
                run.save()
            if stop:
                raise StopAsked(run.step)
            asked = finish.between(epoch, run.step, run.published)
            for event in asked:
                yield event
                if should_stop():
                    asked.close()  # puts the trained weights back
                    run.save()
                    raise StopAsked(run.step)
        run.save()
        ended = yield from results(epoch)
    return run.step


def _open_base(job: Job) -> Family:
    """Raises InputError where the base or a setting does not suit."""
    config = job.config
    placement = choose_placement(config.hardware)
    trains_text = optim.text_encoder_rate(config.optim, job.card) > 0
    placement = replace(placement, train_text_encoder=trains_text)
    set_up_torch(placement, config.hardware.threads)
    family = open_family(job.card, placement)
    try:
        family.objective = weighted(family.objective, config.train.min_snr)
    except ValueError as e:
        raise InputError(f"train.min_snr: not with base '{job.card.name}' ({e}). Fix: leave it out") from e
    return family


class _Run:
    """What changes from step to step: weights, their average, the optimizer."""

    def __init__(self, job: Job, family: Family, items: list[loader.Item], cache: Cache, start: starting.Start):
        self.job, self.config, self.family, self.items, self.cache = job, job.config, family, items, cache
        train = job.config.train
        self.start = start
        starting.put_in(start, family, dropout=job.config.lora.dropout, seed=derived_seed(train.seed, "lora"))
        for network in family.networks.values():
            network.train()
        hardware = job.config.hardware
        denoiser = next(iter(family.networks.values()))
        memory.prepare_training(denoiser, family.blocks, hardware.checkpointing, hardware.compile)
        self.weights = lora.trainable(family.networks)
        self.average = optim.Average(self.weights, train.ema_decay) if train.ema_decay else None
        self.buckets = [(i.buckets, i.example.repeats) for i in items]
        batches = count_batches(self.buckets, train.batch_size)
        self.steps_per_epoch = math.ceil(batches / train.gradient_accumulation)
        self.steps = self.steps_per_epoch * train.epochs
        optimizer = optim.build_optimizer(job.config.optim, self._groups(), family.placement.device)
        self.updates = Updates(self.weights, optimizer, job.config.optim, self.steps, "the pictures")

    @property
    def step(self) -> int:
        return self.updates.step

    def _groups(self) -> list[optim.Group]:
        """The denoiser's weights, then those of the text encoders."""
        settings, card = self.config.optim, self.family.card
        denoiser, *encoders = ([p for n, p in self.weights.items() if n.startswith(f"{prefix}.")]
                               for prefix in self.family.networks)  # fmt: skip
        rate = optim.text_encoder_rate(settings, card)
        learned = [p for encoder in encoders for p in encoder]
        groups = [optim.Group(denoiser, settings.learning_rate)]
        return [*groups, optim.Group(learned, rate)] if learned else groups

    def groups(self, epoch: int) -> list[tuple[tuple[Visit, ...], ...]]:
        """The epoch's updates; each is the micro-batches that are summed up for it."""
        train = self.config.train
        batches = epoch_batches(self.buckets, train.batch_size, train.seed, epoch)
        size = train.gradient_accumulation
        return [tuple(batches[i : i + size]) for i in range(0, len(batches), size)]

    def update(self, micro_batches: Sequence[tuple[Visit, ...]], epoch: int) -> events.Event:
        """One optimizer step, or a skipped one when something is not finite."""
        began, step = time.monotonic(), self.step + 1
        train, placement = self.config.train, self.family.placement
        checkpointing, weight = self.config.hardware.checkpointing, self.config.preserve.weight
        count, loss = sum(map(len, micro_batches)), 0.0
        self.updates.clear()
        number = 0
        for visits in micro_batches:
            slots = [loader.Slot(visit, number + k) for k, visit in enumerate(visits)]
            number += len(visits)
            batch = loader.load_batch(
                self.cache, self.items, slots, self.config.data, seed=train.seed, step=step, epoch=epoch
            )
            share = len(visits) / count  # every example weighs the same, also in a smaller last batch
            # For training alone: pictures are drawn as any process would draw them, to the last bit.
            with memory.attention_for(placement), memory.kept_activations(checkpointing, placement.device):
                micro = micro_step(self.family, batch, slots, train, step) * share
                micro.backward()
                # One after the other: both graphs at once would take twice the memory.
                if weight and (moved := preserving_step(self.family, batch, slots, train, step)) is not None:
                    (moved * share * weight).backward()
            loss += micro.item()
        done = self.updates.apply(loss, epoch=epoch, count=count, began=began, device=placement.device)
        if self.average and isinstance(done, events.StepDone):
            self.average.update(self.weights, step)
        return done

    def published(self) -> Weights:
        """The weights that checkpoints, samples and probes use: the average where there is one."""
        return self.average.values if self.average else {n: p.detach() for n, p in self.weights.items()}

    def save(self) -> None:
        tensors, numbers = self.updates.state()
        tensors |= {f"average.{n}": t for n, t in self.average.values.items()} if self.average else {}
        now = conditions(self.family.placement, self.config.hardware)
        numbers |= {"files": self.start.digests, "conditions": now}
        resume.write_state(self.job.folder / "state", resume.State(self.step, tensors, numbers))

    def load(self, state: resume.State | None) -> None:
        if state is None:
            return
        lora.load(self.family.networks, state.part("weights"))
        self.updates.load(state)
        if self.average:
            device = self.family.placement.device
            self.average.values = {n: v.to(device) for n, v in state.part("average").items()}
