"""What is made at the end of an epoch: the LoRA file, the test pictures, the probes, the scorecard.

Everything that is there already is left alone, so that a run which was killed half-way through makes just the rest.
"""

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from likeness import events
from likeness.errors import RunFailed
from likeness.events import read_events
from likeness.families.base import Family
from likeness.lora import inject as lora
from likeness.lora.io import LoraInfo, as_written, write_lora
from likeness.sample.sampler import Request, draw, encode_texts, save_png, settle
from likeness.train import probes, stopping
from likeness.train.cache import Cache
from likeness.train.loader import Item
from likeness.train.loop import Job
from likeness.train.starting import TRAINING_ADAPTER
from likeness.worker.scores import Scores, further_path, sample_path, seeds_of


class EpochResults:
    """Call it with (epoch, step, weights); epoch 0 is the untrained base, which gets no file.

    It returns why the run should end here, if it should."""

    def __init__(self, job: Job, family: Family, items: Sequence[Item], cache: Cache):
        self.folder, self.config, self.digest, self.family, self.cache = (
            job.folder,
            job.config,
            job.digest,
            family,
            cache,
        )
        config = job.config
        self.images = len(items)
        self.tags = tag_counts(items)
        self.requests: list[Request] = [settle(p, config.sampling, family.card) for p in config.sampling.prompts]
        self.conditions = [encode_texts(family, r) for r in self.requests]
        self.probed = probes.chosen(items, config.train.seed)
        self.scores = Scores(job.folder, config, list(job.examples), job.card.name)

    def __call__(self, epoch: int, step: int, weights: dict[str, Tensor]) -> Generator[events.Event, None, str | None]:
        train, last = self.config.train, epoch == self.config.train.epochs
        with self._worn(weights, as_file=epoch > 0):  # before training there is no file
            if epoch and (last or epoch % train.save_every == 0):
                yield from self._write(epoch, step, weights)
            if self.requests and train.sample_every and (last or epoch % train.sample_every == 0):
                yield from self._draw(epoch, step)
            if train.probe_every and (last or epoch % train.probe_every == 0):
                yield from self._probe(epoch, step)
        yield from self.scores(epoch, step)
        curve = stopping.held_out_curve(read_events(self.folder / "events.jsonl"), epoch)
        for old in stopping.worse_epochs(curve, train.keep_best, epoch):
            checkpoint_path(self.folder, old).unlink(missing_ok=True)
        return stopping.enough(curve, train.early_stop) if epoch and not last else None

    def between(self, epoch: int, step: int, weights: Callable[[], dict[str, Tensor]]) -> Generator[events.Event]:
        """The test prompts as the LoRA is now, where a file in the run folder asks for them (`events.SAMPLE_NOW`)."""
        asked = self.folder / events.SAMPLE_NOW
        if not asked.exists():
            return
        with self._worn(weights(), as_file=True), lora.disabled(self.family.networks, TRAINING_ADAPTER):
            for number, request in enumerate(self.requests, start=1):
                path = self.folder / "now" / f"step-{step:06d}" / f"prompt-{number}-seed-{request.seed}.png"
                if not path.exists():
                    yield events.Stage(name="sampling", done=number - 1, total=len(self.requests))
                    save_png(path, draw(self.family, request, self.conditions[number - 1]), request)
                    yield events.SampleNow(**self._told(epoch, step, number, request, path))
        asked.unlink(missing_ok=True)

    @contextmanager
    def _worn(self, weights: dict[str, Tensor], *, as_file: bool) -> Generator[None]:
        """The networks with these weights, ready to draw and measure; `as_file`: as a file would hold them, to the last
        bit."""
        networks = self.family.networks
        was_training = [network.training for network in networks.values()]
        for network in networks.values():
            network.eval()
        worn = as_written(weights, lora.sizes(networks), self.config.lora.type) if as_file else weights
        try:
            with lora.swapped(networks, worn):
                yield
        finally:
            for network, mode in zip(networks.values(), was_training, strict=True):
                network.train(mode)

    def _told(self, epoch: int, step: int, number: int, request: Request, path: Path) -> dict[str, Any]:
        """What the events of a picture say."""
        return {
            "epoch": epoch,
            "step": step,
            "prompt_index": number,
            "prompt": request.prompt,
            "seed": request.seed,
            "path": str(path.relative_to(self.folder)),
        }

    def _write(self, epoch: int, step: int, weights: dict[str, Tensor]) -> Iterator[events.Event]:
        path = checkpoint_path(self.folder, epoch)
        if not path.exists():
            try:
                info, targets = self._info(epoch, step), self.config.lora.targets
                write_lora(path, weights, lora.sizes(self.family.networks), info=info, targets=targets)
            except ValueError as e:
                raise RunFailed(
                    f"{path.name}: not written, since {e} in fp16. The files of earlier epochs are whole. "
                    "Fix: start a new run with a lower optim.learning_rate or lora.alpha"
                ) from e
            yield events.CheckpointSaved(epoch=epoch, step=step, path=str(path.relative_to(self.folder)))

    def _draw(self, epoch: int, step: int) -> Iterator[events.Event]:
        with lora.disabled(self.family.networks, TRAINING_ADAPTER):  # it is for training alone
            for number, request in enumerate(self.requests, start=1):
                path = sample_path(self.folder, epoch, number, request.seed)
                if path.exists():
                    continue
                yield events.Stage(name="sampling", done=number - 1, total=len(self.requests))
                save_png(path, draw(self.family, request, self.conditions[number - 1]), request)
                yield events.SampleSaved(**self._told(epoch, step, number, request, path))
            if self.config.scorecard.enabled:
                yield from self._draw_further(epoch)

    def _draw_further(self, epoch: int) -> Iterator[events.Event]:
        """The same prompts from other noise, for the scorecard."""
        wanted = [(n, seed) for n in range(1, len(self.requests) + 1) for seed in seeds_of(self.config, n)[1:]]
        for done, (number, seed) in enumerate(wanted):
            path = further_path(self.folder, epoch, number, seed)
            if not path.exists():
                yield events.Stage(name="sampling", done=done, total=len(wanted))
                request = replace(self.requests[number - 1], seed=seed)
                save_png(path, draw(self.family, request, self.conditions[number - 1]), request)

    def _probe(self, epoch: int, step: int) -> Iterator[events.Event]:
        log = read_events(self.folder / "events.jsonl")
        if any(isinstance(e, events.ProbesMeasured) and e.epoch == epoch for e in log):
            return
        yield events.Stage(name="measuring")
        train = self.config.train
        outside = self.config.data.masked_loss.outside
        yield probes.measure(self.family, self.probed, self.cache, train.probes, outside, train.seed, epoch, step)

    def _info(self, epoch: int, step: int) -> LoraInfo:
        """Metadata that user interfaces read. No dates: the same run gives the same bytes."""
        config, card = self.config, self.family.card
        resolution = max(config.data.sides(card.resolution))
        extra = {
            "modelspec.sai_model_spec": "1.0.1",
            "modelspec.architecture": f"{card.family}/lora",
            "modelspec.implementation": "diffusers",
            "modelspec.title": f"{config.name} epoch {epoch}",
            "modelspec.resolution": f"{resolution}x{resolution}",
            "modelspec.trigger_phrase": config.trigger,
            "modelspec.description": config.description,
            "ss_output_name": config.name,
            "ss_base_model_version": card.family,
            "ss_sd_model_name": card.repository or card.name,
            "ss_network_module": "lycoris.kohya" if config.lora.type in ("lokr", "loha") else "networks.lora",
            "ss_network_dim": str(config.lora.rank),
            "ss_network_alpha": str(config.lora.rank),  # as in the file: the scale is folded in
            "ss_learning_rate": str(config.optim.learning_rate),
            "ss_optimizer": config.optim.optimizer,
            "ss_seed": str(config.train.seed),
            "ss_resolution": str(resolution),
            "ss_v2": "False",
            "ss_tag_frequency": json.dumps(self.tags, sort_keys=True),
            "ss_training_comment": f"trigger: {config.trigger}" if config.trigger else "",
            "ss_num_train_images": str(self.images),
            "ss_num_epochs": str(config.train.epochs),
            "ss_epoch": str(epoch),
            "ss_steps": str(step),
            "likeness_config_sha256": self.digest,
        }
        base, settings = card.repository or card.name, config.lora
        return LoraInfo(config.name, base, config.trigger, settings.rank, epoch, step, extra, settings.type)


def tag_counts(items: Sequence[Item]) -> dict[str, dict[str, int]]:
    """How often each comma-separated piece of a caption occurs, by dataset folder: user interfaces list them."""
    counts: dict[str, dict[str, int]] = {}
    for item in items:
        folder = counts.setdefault(Path(item.example.path).parent.name, {})
        for tag in filter(None, (piece.strip() for piece in item.example.caption.split(","))):
            folder[tag] = folder.get(tag, 0) + 1
    return counts


def checkpoint_path(folder: Path, epoch: int) -> Path:
    return folder / "checkpoints" / f"epoch-{epoch:03d}.safetensors"
