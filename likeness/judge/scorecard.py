"""What is measured of one epoch: its test pictures beside the training pictures and those of the base."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from likeness.config.run import RunConfig
from likeness.dataset.captions import has_trigger
from likeness.dataset.formats import open_rgb
from likeness.dataset.manifest import Example
from likeness.errors import InputError
from likeness.events import EpochMeasured
from likeness.judge import features, metrics
from likeness.judge.features import Encoder
from likeness.judge.metrics import Rows

MOST_TRAINING = 64  # training pictures that samples are compared with; more cost time and change little
COMPARED = (256, 256)  # pixels at which pictures are compared one by one

Measures = dict[str, dict[str, float]]  # by measure, then by picture


@dataclass(frozen=True)
class Drawn:
    """A picture that was drawn at an epoch. `key` names it at every epoch alike, such as 'prompt-1-seed-42'."""

    key: str
    prompt: str
    path: Path
    references: tuple[str, ...] = ()  # source pictures of an edit


@dataclass
class _Seen:
    """Pictures and their features."""

    drawn: list[Drawn]
    pictures: list[Image.Image]
    fine: Rows
    sharpness: list[float]
    features: Rows | None  # of the encoder

    def rows(self, keys: Sequence[str]) -> list[int]:
        place = {d.key: i for i, d in enumerate(self.drawn)}
        return [place[key] for key in keys if key in place]


@dataclass
class _Training:
    """The pictures that were learned from. Of pairs, `pictures` are those after the edit."""

    examples: list[Example]
    pictures: list[Image.Image]
    fine: Rows
    threshold: float
    sharpness: float
    features: Rows | None
    sources: list[Image.Image] = field(default_factory=list[Image.Image])
    source_features: Rows | None = None


class Scorecard:
    """Measures epochs of one run. Nothing of the training is touched, and no random number is drawn."""

    def __init__(self, config: RunConfig, examples: Sequence[Example], encoder: Encoder | None):
        self.config, self.encoder = config, encoder
        self.trigger = config.trigger
        self._examples = _compared(examples)
        self._training: _Training | None = None
        self._base: dict[tuple[Path, ...], _Seen] = {}

    def measure(self, epoch: int, step: int, drawn: Sequence[Drawn], base: Sequence[Drawn]) -> EpochMeasured:
        """The measures of an epoch's pictures; `base` are those of the untrained base. Pictures that cannot be read
        are left out."""
        seen = self._see(drawn)
        told = EpochMeasured(
            epoch=epoch, step=step, encoder=self.encoder.name if self.encoder else "", pictures={}, whole={}
        )
        if not seen.drawn:
            return told
        before = self._base_of(base)
        learned = [d.key for d in seen.drawn if self._calls(d)]
        controls = [d.key for d in seen.drawn if not self._calls(d)]
        training = self._learned_from()
        pictures: Measures = {"sharpness": dict(zip([d.key for d in seen.drawn], seen.sharpness, strict=True))}
        if self.config.kind == "edit":
            pictures |= self._edits(seen, training)
        else:
            pictures |= self._memorised(seen, learned, training)
            pictures |= self._alike(seen, before, learned, controls, training)
        pictures |= self._drifted(seen, before, controls)
        whole = _diversity(seen, before, learned)
        if training is not None and "composition" in pictures:
            alike = metrics.sameness(training.fine)
            whole |= {} if alike is None else {"sameness": alike}
        told.pictures.update({name: values for name, values in pictures.items() if values})
        told.whole.update(whole)
        return told

    def _calls(self, drawn: Drawn) -> bool:
        """Whether a picture should show what was learned: where there is a trigger, its prompt holds it."""
        return not self.trigger or self.config.kind == "edit" or has_trigger(drawn.prompt, self.trigger)

    # --- what is compared

    def _see(self, drawn: Sequence[Drawn]) -> _Seen:
        whole: list[Drawn] = []
        pictures: list[Image.Image] = []
        for d in drawn:
            try:
                pictures.append(open_rgb(d.path))
            except InputError:
                continue
            whole.append(d)
        if not pictures:
            return _Seen([], [], np.empty((0, 1)), [], None)
        return _Seen(
            whole,
            pictures,
            features.fine(pictures),
            [features.sharpness(p) for p in pictures],
            self.encoder.images(pictures) if self.encoder else None,
        )

    def _base_of(self, base: Sequence[Drawn]) -> _Seen:
        key = tuple(d.path for d in base)
        if key not in self._base:
            self._base = {key: self._see(base)}
        return self._base[key]

    def _learned_from(self) -> _Training | None:
        """None where no training picture can be read any more."""
        if self._training is None:
            self._training = self._read_training()
        return self._training

    def _read_training(self) -> _Training | None:
        examples: list[Example] = []
        pictures: list[Image.Image] = []
        sources: list[Image.Image] = []
        for e in self._examples:
            try:
                picture = _shown(e)
                before = [open_rgb(Path(path)) for path in e.references[-1:]]
            except InputError:
                continue
            examples.append(e)
            pictures.append(picture)
            sources += before
        if not pictures:
            return None
        fine = features.fine(pictures)
        is_edit = self.config.kind == "edit" and len(sources) == len(pictures)
        return _Training(
            examples,
            pictures,
            fine,
            metrics.copy_threshold(fine),
            float(np.median([features.sharpness(p) for p in pictures])),
            self.encoder.images(pictures) if self.encoder else None,
            sources if is_edit else [],
            self.encoder.images(sources) if self.encoder and is_edit else None,
        )

    # --- groups of measures

    def _memorised(self, seen: _Seen, learned: Sequence[str], training: _Training | None) -> Measures:
        rows = seen.rows(learned)
        if training is None or not rows:
            return {}
        mirrored = features.fine([p.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for p in training.pictures])
        closeness = metrics.nearest(seen.fine[rows], np.concatenate([training.fine, mirrored]))
        sharp = np.asarray([seen.sharpness[i] for i in rows])
        copies = metrics.copied(closeness, sharp, training.threshold, training.sharpness)
        composition = (seen.fine[rows] @ training.fine.T).mean(axis=1)
        return {
            "closeness": _by_key(learned, closeness),
            "copied": _by_key(learned, copies),
            "composition": _by_key(learned, composition),
        }

    def _alike(
        self, seen: _Seen, before: _Seen, learned: Sequence[str], controls: Sequence[str], training: _Training | None
    ) -> Measures:
        """What an encoder tells: likeness, adherence to the prompt, leaks into controls."""
        found: Measures = {}
        if self.encoder is None or seen.features is None:
            return found
        if training is not None and training.features is not None:
            found["likeness"] = _by_key(learned, metrics.likeness(seen.features[seen.rows(learned)], training.features))
            found["leak"] = _change(self._likeness_of(seen, training), self._likeness_of(before, training), controls)
        if self.encoder.reads_text:
            found["prompt"] = _change(self._adherence_of(seen), self._adherence_of(before), learned)
        return found

    def _likeness_of(self, seen: _Seen, training: _Training) -> dict[str, float]:
        if seen.features is None or training.features is None:
            return {}
        return _by_key([d.key for d in seen.drawn], metrics.likeness(seen.features, training.features))

    def _adherence_of(self, seen: _Seen) -> dict[str, float]:
        if self.encoder is None or seen.features is None:
            return {}
        texts = self.encoder.texts([without_trigger(d.prompt, self.trigger) for d in seen.drawn])
        return _by_key([d.key for d in seen.drawn], metrics.adherence(seen.features, texts))

    def _drifted(self, seen: _Seen, before: _Seen, controls: Sequence[str]) -> Measures:
        """How far the controls are from those that the base draws from the same noise."""
        both = [key for key in controls if seen.rows([key]) and before.rows([key])]
        if not both:
            return {}
        now, then = seen.rows(both), before.rows(both)
        drift = [
            metrics.pixel_drift(
                features.pixels(seen.pictures[i], COMPARED), features.pixels(before.pictures[j], COMPARED)
            )
            for i, j in zip(now, then, strict=True)
        ]
        return {"drift": dict(zip(both, drift, strict=True))}

    def _edits(self, seen: _Seen, training: _Training | None) -> Measures:
        """Only for pictures with a source, and training pairs with the same instruction."""
        found: Measures = {"preserved": {}, "change": {}, "followed": {}}
        for i, d in enumerate(seen.drawn):
            pairs = _pairs_like(d.prompt, training)
            if training is None or not pairs or not d.references:
                continue
            source = open_rgb(Path(d.references[-1]))
            shown = features.pixels(source, COMPARED), features.pixels(seen.pictures[i], COMPARED)
            of_pairs = [
                (features.pixels(training.sources[k], COMPARED), features.pixels(training.pictures[k], COMPARED))
                for k in pairs
            ]
            share = float(np.median([metrics.unchanged_share(a, b) for a, b in of_pairs]))
            usual = float(np.median([metrics.pixel_drift(b, a) for a, b in of_pairs]))
            found["preserved"][d.key] = metrics.preserved(*shown, share)
            found["change"][d.key] = metrics.change_ratio(*shown, usual)
            if self.encoder and seen.features is not None and training.source_features is not None:
                assert training.features is not None
                wanted = metrics.direction(training.source_features[pairs], training.features[pairs])
                before = self.encoder.images([source])
                found["followed"][d.key] = float(metrics.followed(before, seen.features[i : i + 1], wanted)[0])
        return found


def _compared(examples: Sequence[Example]) -> list[Example]:
    """The training pictures, each once; no tiles, no regularisation, nothing held out."""
    own = [e for e in examples if e.type == "train" and not e.held_out and e.side is None]
    return list({e.id: e for e in own}.values())[:MOST_TRAINING]


def _shown(e: Example) -> Image.Image:
    picture = open_rgb(Path(e.path))
    if e.crop is None:
        return picture
    left, top, width, height = e.crop
    return picture.crop((round(left), round(top), round(left + width), round(top + height)))


def _pairs_like(instruction: str, training: _Training | None) -> list[int]:
    """The training pairs with this instruction; all, where there is only one instruction."""
    if training is None or not training.sources:
        return []
    captions = [e.caption.strip().lower() for e in training.examples]
    if len(set(captions)) == 1:
        return list(range(len(captions)))
    return [k for k, text in enumerate(captions) if text == instruction.strip().lower()]


def _diversity(seen: _Seen, before: _Seen, learned: Sequence[str]) -> dict[str, float]:
    """How many different pictures the prompts give, beside the base's: the mean over seeds, each of which draws every
    prompt once. Pictures of one prompt are meant to be alike."""
    now, then = _vendi(seen, learned), _vendi(before, learned)
    if now is None:
        return {}
    return {"vendi": now, **({"diversity": now / then} if then else {})}


def _vendi(seen: _Seen, keys: Sequence[str]) -> float | None:
    """None where no seed drew two prompts."""
    wanted = {*keys}
    rounds: dict[int, list[int]] = {}
    counts: dict[str, int] = {}
    for row, d in enumerate(seen.drawn):
        if d.key in wanted:
            counts[d.prompt] = counts.get(d.prompt, 0) + 1
            rounds.setdefault(counts[d.prompt], []).append(row)
    rows = seen.fine if seen.features is None else seen.features
    return metrics.mean_of([metrics.vendi(rows[r]) for r in rounds.values() if len(r) > 1])


def without_trigger(prompt: str, trigger: str) -> str:
    """The prompt as an encoder should read it, which does not know the trigger."""
    if not trigger:
        return prompt
    text = re.sub(rf"(?<!\w){re.escape(trigger)}(?!\w)", "", prompt)
    return re.sub(r"\s+", " ", re.sub(r"^[\s,]+", "", text)).strip() or prompt


def _by_key(keys: Sequence[str], values: metrics.Values) -> dict[str, float]:
    return dict(zip(keys, (round(float(v), 6) for v in values), strict=True))


def _change(now: dict[str, float], then: dict[str, float], keys: Sequence[str]) -> dict[str, float]:
    """Of those that are there both times."""
    return {key: now[key] - then[key] for key in keys if key in now and key in then}
