"""The scorecard of a run: its pictures measured epoch by epoch, and the verdict so far, as events.

What is measured already is left alone. Nothing that goes wrong here may stop the training.
"""

import traceback
from collections.abc import Iterator
from pathlib import Path

from likeness import events
from likeness.config.run import RunConfig
from likeness.dataset.manifest import Example
from likeness.errors import InputError
from likeness.events import read_events
from likeness.judge.features import open_encoder
from likeness.judge.scorecard import Drawn, Scorecard
from likeness.judge.verdict import give_verdict


def sample_path(folder: Path, epoch: int, number: int, seed: int) -> Path:
    return folder / "samples" / f"epoch-{epoch:03d}" / f"prompt-{number}-seed-{seed}.png"


def further_path(folder: Path, epoch: int, number: int, seed: int) -> Path:
    """Of a picture that is drawn for the scorecard alone."""
    return folder / "scorecard" / f"epoch-{epoch:03d}" / f"prompt-{number}-seed-{seed}.png"


def seeds_of(config: RunConfig, number: int, count: int | None = None) -> list[int]:
    """The seeds of test prompt `number`, from 1: its own, then those after it."""
    prompt = config.sampling.prompts[number - 1]
    first = config.sampling.seed if prompt.seed is None else prompt.seed
    return [(first + k) % 2**32 for k in range(count or config.scorecard.seeds)]


def drawn_at(folder: Path, config: RunConfig, epoch: int) -> list[Drawn]:
    """The pictures of an epoch that are there: the test pictures, then those drawn for the scorecard."""
    found: list[Drawn] = []
    for number, prompt in enumerate(config.sampling.prompts, start=1):
        (first,) = seeds_of(config, number, 1)
        own = sample_path(folder, epoch, number, first)
        further = further_path(folder, epoch, number, 0).parent.glob(f"prompt-{number}-seed-*.png")
        paths = [p for p in (own, *sorted(further)) if p.is_file()]
        found += [Drawn(p.stem, prompt.prompt, p, tuple(prompt.reference)) for p in paths]
    return found


class Scores:
    """Measures epochs as they come. `encoder`: other than the settings say."""

    def __init__(self, folder: Path, config: RunConfig, examples: list[Example], base: str, encoder: str | None = None):
        self.folder, self.config, self.base = folder, config, base
        self.held_out = frozenset(e.id for e in examples if e.held_out)
        self.images = len({e.id for e in examples if e.type == "train" and not e.held_out and e.side is None})
        self._examples, self._asked = examples, encoder or config.scorecard.encoder
        self._card: Scorecard | None = None

    def __call__(self, epoch: int, step: int) -> Iterator[events.Event]:
        """The events of an epoch whose pictures and losses are there."""
        if not self.config.scorecard.enabled:
            return
        log = list(read_events(self.folder / "events.jsonl"))
        measured = any(isinstance(e, events.EpochMeasured) and e.epoch == epoch for e in log)
        if not measured and self.config.sampling.prompts:
            for told in self._measured(epoch, step):
                log.append(told)
                yield told
        judged = any(isinstance(e, events.VerdictGiven) and e.epoch == epoch for e in log)
        if epoch and not judged and (told := self._verdict(log)) is not None:
            yield told

    def again(self, steps: dict[int, int]) -> Iterator[events.Event]:
        """Measure the epochs of `steps`, by epoch, whatever was measured before, and give the verdict.

        Raises InputError where the encoder cannot be had.
        """
        log = list(read_events(self.folder / "events.jsonl"))
        card = self._open()
        base = drawn_at(self.folder, self.config, 0)
        for done, (epoch, step) in enumerate(sorted(steps.items())):
            yield events.Stage(name="measuring", done=done, total=len(steps))
            if drawn := drawn_at(self.folder, self.config, epoch):
                told = card.measure(epoch, step, drawn, base)
                log.append(told)
                yield told
        yield give_verdict(log, self.config, self.held_out, self.images, self._available())

    def _measured(self, epoch: int, step: int) -> Iterator[events.Event]:
        drawn = drawn_at(self.folder, self.config, epoch)
        if not drawn:
            return
        try:
            card = self._open()
        except InputError as e:
            yield events.Note(message=f"{e}. The scorecard goes on with losses and pixels alone")
            card = self._card = Scorecard(self.config, self._examples, None)
        try:
            yield card.measure(epoch, step, drawn, drawn_at(self.folder, self.config, 0))
        except Exception as e:
            traceback.print_exc()
            yield events.Note(message=f"epoch {epoch} could not be measured ({e}); the training goes on")

    def _open(self) -> Scorecard:
        if self._card is None:
            encoder = open_encoder(self._asked, self.base, self.config.model.offline)
            self._card = Scorecard(self.config, self._examples, encoder)
        return self._card

    def _verdict(self, log: list[events.Event]) -> events.Event | None:
        try:
            return give_verdict(log, self.config, self.held_out, self.images, self._available())
        except Exception:
            traceback.print_exc()
            return None

    def _available(self) -> set[int]:
        """Epochs that have a LoRA file."""
        names = (p.stem.removeprefix("epoch-") for p in (self.folder / "checkpoints").glob("epoch-*.safetensors"))
        return {int(name) for name in names if name.isdigit()}
