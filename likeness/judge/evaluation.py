"""Pictures at several strengths, measured as the scorecard measures epochs, seed by seed."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from likeness.config.run import RunConfig
from likeness.dataset.captions import has_trigger
from likeness.dataset.formats import open_rgb
from likeness.dataset.manifest import Example
from likeness.judge import features, metrics
from likeness.judge.features import Encoder
from likeness.judge.metrics import Rows
from likeness.judge.scorecard import Drawn, Scorecard
from likeness.judge.strength import Tried, jackknife


@dataclass(frozen=True)
class Shown:
    """A picture, and which of its prompt's seeds it was drawn from, from 0."""

    drawn: Drawn
    turn: int


class Evaluation:
    """Measures strengths of one run's LoRAs against the same pictures of the base."""

    def __init__(self, config: RunConfig, examples: Sequence[Example], encoder: Encoder | None, base: Sequence[Shown]):
        self._config = config
        self._encoder = _Remembering(encoder) if encoder else None
        self._card = Scorecard(config, examples, self._encoder)
        self._base = list(base)
        self._turns = sorted({s.turn for s in base})

    def measure(self, strength: float, shown: Sequence[Shown]) -> Tried:
        """The measures at a strength, each as a value for each seed: its mean over the prompts."""
        told = self._card.measure(1, 0, [s.drawn for s in shown], [s.drawn for s in self._base])
        turn_of = {s.drawn.key: s.turn for s in shown}
        values = {
            name: of_seeds
            for name, pictures in told.pictures.items()
            if (of_seeds := _by_turn(pictures, turn_of, self._turns))
        }
        if diversity := self._diversity(shown):
            values["diversity"] = diversity
        return Tried(strength, values)

    def _diversity(self, shown: Sequence[Shown]) -> list[float]:
        """How varied the pictures with the trigger are beside the base's, as pseudo-values by seed."""
        now, then = ([s for s in group if self._calls(s)] for group in (shown, self._base))
        if len(now) < 2 or len(now) != len(then):
            return []
        rows, before = self._rows(now), self._rows(then)

        def ratio(left_out: int | None) -> float:
            kept = [[i for i, s in enumerate(group) if s.turn != left_out] for group in (now, then)]
            return metrics.vendi(rows[kept[0]]) / metrics.vendi(before[kept[1]])

        several = len(self._turns) > 1 and len(now) > len(self._turns)
        return jackknife(ratio(None), [ratio(turn) for turn in self._turns] if several else [])

    def _calls(self, s: Shown) -> bool:
        trigger = self._config.trigger
        return not trigger or self._config.kind == "edit" or has_trigger(s.drawn.prompt, trigger)

    def _rows(self, shown: Sequence[Shown]) -> Rows:
        pictures = [open_rgb(s.drawn.path) for s in shown]
        return self._encoder.images(pictures) if self._encoder else features.fine(pictures)


def _by_turn(pictures: Mapping[str, float], turn_of: Mapping[str, int], turns: Sequence[int]) -> list[float]:
    """The mean over prompts for each turn; nothing where a turn has none."""
    groups = [[v for key, v in pictures.items() if turn_of.get(key) == turn] for turn in turns]
    return [sum(group) / len(group) for group in groups] if all(groups) else []


class _Remembering:
    """An encoder that looks at each picture once."""

    def __init__(self, encoder: Encoder):
        self._encoder, self._known = encoder, dict[bytes, Rows]()
        self.name, self.reads_text = encoder.name, encoder.reads_text

    def images(self, pictures: Sequence[Image.Image]) -> Rows:
        keys = [hashlib.sha256(repr(p.size).encode() + p.tobytes()).digest() for p in pictures]
        new = {key: p for key, p in zip(keys, pictures, strict=True) if key not in self._known}
        if new:
            rows = self._encoder.images(list(new.values()))
            self._known |= {key: rows[i] for i, key in enumerate(new)}
        return np.stack([self._known[key] for key in keys])

    def texts(self, texts: Sequence[str]) -> Rows:
        return self._encoder.texts(texts)
