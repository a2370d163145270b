"""A trained voice: LoRA on the backbone of Pocket TTS, from top to bottom; a generator of events, as `train.loop` is.

Every draw is a pure function of (seed, step), so a run that goes on gives the same bytes as one that was never stopped.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from likeness import events
from likeness.config.voice import VoiceRunConfig
from likeness.errors import InputError
from likeness.functional.randomness import derived_seed
from likeness.train import optim, resume
from likeness.train.conditions import differences
from likeness.train.ending import StopAsked, told_to_the_end
from likeness.train.updates import Updates
from likeness.voices import lessons as teaching
from likeness.voices.audio import Clip
from likeness.voices.lessons import Lesson
from likeness.voices.pocket import LAYERS, Pocket, open_pocket, seeded

PROBES = 2  # draws per recording when losses are measured
TARGETS = rf".*model\.layers\.\d+\..*\.({'|'.join(LAYERS)})"  # not those of the flow head


@dataclass(frozen=True)
class VoiceJob:
    """A frozen run. `conditions` decide the last bits besides settings and files."""

    folder: Path
    config: VoiceRunConfig
    lessons: Sequence[Lesson]
    device: torch.device
    dtype: torch.dtype
    conditions: Mapping[str, str]
    digest: str


@dataclass(frozen=True)
class Taught:
    """What an epoch's results are made from. The network has the LoRA in it."""

    pocket: Pocket
    reference: Clip
    learned: Sequence[Lesson]
    held_out: Sequence[Lesson]


EpochEnd = Callable[[int, int], Iterator[events.Event]]  # (epoch, step); epoch 0 is the base
MakeEpochEnd = Callable[[VoiceJob, Taught], EpochEnd]


def train(job: VoiceJob, should_stop: Callable[[], bool], make_epoch_end: MakeEpochEnd) -> Iterator[events.Event]:
    """Train until done, stopped or failed; goes on from the saved state if there is one."""
    return told_to_the_end(_train(job, should_stop, make_epoch_end))


def _train(
    job: VoiceJob, should_stop: Callable[[], bool], make_epoch_end: MakeEpochEnd
) -> Generator[events.Event, None, int]:
    config, state = job.config, resume.read_state(job.folder / "state")
    if state:
        for message in differences(state.numbers.get("conditions", job.conditions), job.conditions):
            yield events.Note(message=message)
    yield events.Stage(name="loading")
    clips = teaching.read_lessons(job.lessons)
    pocket = open_pocket(config.base, job.device, job.dtype)
    if pocket.config.flow_head_config.flow_type != "lsd":
        raise InputError(f"base: {config.base} cannot be trained on (its flow head is distilled). Fix: name another")
    work = _prepare(job, clips, pocket)
    ready: list[Lesson] = []
    for told in work:
        if isinstance(told, list):
            ready = told
            continue
        yield told
        if should_stop():
            raise StopAsked(state.step if state else 0)
    reference = teaching.make_reference(ready, clips)
    run = _Run(job, pocket, [lesson for lesson in ready if not lesson.held_out])
    run.load(state)
    taught = Taught(run.pocket, reference, run.lessons, [lesson for lesson in ready if lesson.held_out])
    finish = make_epoch_end(job, taught)
    yield events.RunStarted(
        name=config.name,
        steps=run.steps,
        epochs=config.train.epochs,
        images=len(run.lessons),
        device=str(job.device),
        precision=job.conditions.get("precision", str(job.dtype)),
        resumed_at=run.step,
        noun="recordings",
    )

    def results(epoch: int) -> Iterator[events.Event]:
        run.network.eval()
        for event in finish(epoch, run.step):
            yield event
            if should_stop():
                raise StopAsked(run.step)
        run.network.train()

    if run.step % run.steps_per_epoch == 0:
        yield from results(run.step // run.steps_per_epoch)
    while run.step < run.steps:
        epoch = run.step // run.steps_per_epoch + 1
        for batch in run.batches(epoch)[run.step % run.steps_per_epoch :]:
            yield run.update(batch, epoch)
            stop, every = should_stop(), config.train.state_every
            if stop or (every and run.step % every == 0):
                run.save()
            if stop:
                raise StopAsked(run.step)
        run.save()
        yield from results(epoch)
    return run.step


def _prepare(job: VoiceJob, clips: Sequence[Clip], pocket: Pocket) -> Iterator[events.Event | list[Lesson]]:
    """Missing texts written, recordings encoded; the last thing is the list."""
    found = list(job.lessons)
    if any(not lesson.text for lesson in found):
        from likeness.voices.transcribing import open_transcriber

        place = job.config.data.transcriber
        if place is None:
            names = ", ".join(lesson.path.name for lesson in found if not lesson.text)
            raise InputError(f"data.clips: no text beside {names}. Fix: write it, or name a data.transcriber")
        transcribe = open_transcriber(place, job.device, job.config.language, "data.transcriber")
        texts = teaching.write_texts(found, clips, transcribe)
        found = []
        for lesson in texts:
            found.append(lesson)
            yield events.Stage(name="transcribing", done=len(found), total=len(clips))
        del transcribe
    encoded: list[Lesson] = []
    for lesson in teaching.encode(found, clips, pocket):
        encoded.append(lesson)
        yield events.Stage(name="encoding", done=len(encoded), total=len(clips))
    yield encoded


class _Run:
    """What changes from step to step: the LoRA and its optimizer."""

    def __init__(self, job: VoiceJob, pocket: Pocket, lessons: Sequence[Lesson]):
        self.job, self.config, self.lessons = job, job.config, lessons
        self.network = add_lora(pocket.network, self.config)
        self.pocket = Pocket(self.network, pocket.processor, pocket.device, pocket.name)
        self.weights = trainable(self.network)
        self.steps_per_epoch = math.ceil(len(lessons) / self.config.train.batch_size)
        self.steps = self.steps_per_epoch * self.config.train.epochs
        settings = self.config.optim
        group = optim.Group(list(self.weights.values()), settings.learning_rate)
        optimizer = optim.build_optimizer(settings, [group], job.device)
        self.updates = Updates(self.weights, optimizer, settings, self.steps, "the recordings")
        self.network.train()

    @property
    def step(self) -> int:
        return self.updates.step

    def batches(self, epoch: int) -> list[list[int]]:
        """The epoch's updates, as indices of lessons."""
        size = self.config.train.batch_size
        generator = torch.Generator().manual_seed(derived_seed(self.config.train.seed, "order", epoch))
        order: list[int] = torch.randperm(len(self.lessons), generator=generator).tolist()
        return [order[i : i + size] for i in range(0, len(order), size)]

    def update(self, batch: Sequence[int], epoch: int) -> events.Event:
        """One optimizer step, or a skipped one when something is not finite."""
        began, step = time.monotonic(), self.step + 1
        seed = self.config.train.seed
        self.updates.clear()
        chosen, rate = [self.lessons[i] for i in batch], float(self.pocket.config.frame_rate)
        voices = [teaching.drawn_voice(self.lessons, x, rate, (seed, step, k)) for k, x in enumerate(chosen)]
        loss = batch_loss(self.pocket, chosen, voices, derived_seed(seed, "noise", step))
        loss.backward()
        return self.updates.apply(loss.item(), epoch=epoch, count=len(batch), began=began, device=self.job.device)

    def save(self) -> None:
        tensors, numbers = self.updates.state()
        numbers["conditions"] = dict(self.job.conditions)
        resume.write_state(self.job.folder / "state", resume.State(self.step, tensors, numbers))

    @torch.no_grad()
    def load(self, state: resume.State | None) -> None:
        if state is None:
            return
        for name, value in state.part("weights").items():
            self.weights[name].copy_(value)
        self.updates.load(state)


def add_lora(network: Any, config: VoiceRunConfig) -> Any:
    """The network with a LoRA on its backbone, in fp32, and all else frozen; the same for the same seed."""
    from peft import LoraConfig, get_peft_model

    network.config.latent_stats_ema_steps = 0  # the base's own statistics stay
    settings = LoraConfig(
        r=config.lora.rank, lora_alpha=int(config.lora.alpha) if config.lora.alpha.is_integer() else config.lora.alpha,  # pyright: ignore[reportArgumentType]
        lora_dropout=0.0, bias="none", target_modules=TARGETS, base_model_name_or_path=config.base,
    )  # fmt: skip
    with seeded(derived_seed(config.train.seed, "lora"), torch.device("cpu")):
        return get_peft_model(network, settings)


def trainable(network: Any) -> dict[str, nn.Parameter]:
    """The LoRA's weights by name, in one order."""
    return {name: p for name, p in sorted(network.named_parameters()) if p.requires_grad}


def batch_loss(pocket: Pocket, batch: Sequence[Lesson], voices: Sequence[Tensor], seed: int) -> Tensor:
    """The network's own loss: of the flow, and of knowing when speech ends. `seed` decides noise and times."""
    inputs = pocket.batch([lesson.text for lesson in batch], voices, [lesson.frames for lesson in batch])
    base: Any = pocket.network.get_base_model() if hasattr(pocket.network, "get_base_model") else pocket.network
    base.distill_generator.manual_seed(seed)
    with seeded(seed, pocket.device):
        return pocket.network(**inputs).loss


@torch.no_grad()
def fixed_losses(pocket: Pocket, measured: Sequence[Lesson], learned: Sequence[Lesson], seed: int) -> list[float]:
    """Of each recording, at voices and noise that are the same after every epoch, so that epochs can be compared."""
    means: list[float] = []
    for number, lesson in enumerate(measured):
        losses: list[float] = []
        for k in range(PROBES):
            voice = teaching.drawn_voice(learned, lesson, float(pocket.config.frame_rate), (seed, number, k))
            losses.append(batch_loss(pocket, [lesson], [voice], derived_seed(seed, "probe", number, k)).item())
        means.append(sum(losses) / PROBES)
    return means
