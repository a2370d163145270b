"""How long a run will be, and what experience says about its settings. Pure functions: nothing is applied."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from likeness.catalog import CARDS, Card
from likeness.config.run import RunConfig
from likeness.errors import InputError

REFERENCE_RATE = 1e-4  # the learning rate that the advice for 10 to 25 images gives for full-size bases


@dataclass(frozen=True)
class Plan:
    """The length of a run; `images` are those trained on, without the `held_out` ones."""

    images: int
    held_out: int
    epochs: int
    examples_per_epoch: int  # images × repeats
    steps_per_epoch: int  # optimizer updates
    steps: int
    arithmetic: str  # how the number of steps came about, for people


@dataclass(frozen=True)
class Suggestion:
    field: str  # dotted setting
    value: str  # what to try, as text
    reason: str


@dataclass(frozen=True)
class _Advice:
    """What suits a number of images, for full-size bases."""

    images: str
    learning_rate: float
    epochs: tuple[int, int]
    repeats: tuple[int, int]


FEW = _Advice("5 to 8 images", 5e-5, (15, 20), (25, 30))
SOME = _Advice("10 to 25 images", 1e-4, (10, 10), (15, 20))
MANY = _Advice("more than 25 images", 2e-4, (6, 8), (10, 15))


def count_steps(
    images_and_repeats: Sequence[tuple[int, int]],
    epochs: int,
    batch_size: int,
    gradient_accumulation: int,
    held_out: int = 0,
) -> Plan:
    """Length of a run over datasets of (training images, repeats).

    Every epoch ends with an update of its own, so the updates per epoch are
    ceil(images × repeats ÷ (batch × accumulation)): the last of an epoch may hold fewer examples.
    """
    examples = sum(images * repeats for images, repeats in images_and_repeats)
    per_update = batch_size * gradient_accumulation
    steps_per_epoch = math.ceil(examples / per_update)
    shown = " + ".join(f"{images} images × {repeats} repeats" for images, repeats in images_and_repeats)
    if len(images_and_repeats) > 1:
        shown = f"({shown})"
    steps = steps_per_epoch * epochs
    return Plan(
        images=sum(images for images, _ in images_and_repeats),
        held_out=held_out,
        epochs=epochs,
        examples_per_epoch=examples,
        steps_per_epoch=steps_per_epoch,
        steps=steps,
        arithmetic=f"{shown} × {epochs} epochs ÷ (batch {batch_size} × accumulation {gradient_accumulation}) "
        f"= {steps} steps{'' if examples % per_update == 0 else ', with each epoch rounded up'}",
    )


def hold_out_size(num_images: int, setting: int | Literal["auto"]) -> int:
    """How many of `num_images` to keep out of training, by `data.hold_out`.

    'auto': 0 below 8 images, 1 below 12, 2 below 25, then a tenth, rounded down but at least 2.
    Raises InputError where a number leaves nothing to train on.
    """
    if setting != "auto":
        if 0 < setting >= num_images:
            raise InputError(
                f"data.hold_out: {setting} of {num_images} images would leave none to train on; choose a smaller number"
            )
        return setting
    if num_images < 8:
        return 0
    if num_images < 12:
        return 1
    return max(2, num_images // 10)


def suggestions(num_images: int, config: RunConfig, card: Card) -> list[Suggestion]:
    """Advice where the settings differ from what experience suggests for so many images. Never applied by itself."""
    advice = FEW if num_images <= 8 else SOME if num_images <= 25 else MANY
    return [
        *_about_base(card),
        *_about_images(num_images),
        *_about_rate(advice, config, card),
        *_about_length(advice, config, card),
    ]


def _about_base(card: Card) -> Iterator[Suggestion]:
    if card.distilled:
        undistilled = [c.name for c in CARDS.values() if card.name in c.runs_on and not c.distilled]
        helped = "; a short run with its training adapter can do" if card.training_adapter else ""
        yield Suggestion(
            "base",
            undistilled[0] if undistilled else "an undistilled base",
            f"{card.title} is distilled to draw in few steps, and training tends to undo that; "
            f"train on the base it was made from and use the LoRA on both{helped}",
        )
    if card.successor:
        yield Suggestion("base", card.successor, f"{card.title} is an older model; new work does better on this")


def _about_images(num_images: int) -> Iterator[Suggestion]:
    if num_images < 5:
        yield Suggestion(
            "data.datasets",
            "5 images or more",
            f"with {num_images} the model tends to learn the pictures themselves rather than what they share",
        )


def _about_rate(advice: _Advice, config: RunConfig, card: Card) -> Iterator[Suggestion]:
    rate, name = config.optim.learning_rate, "optim.learning_rate"
    if config.optim.optimizer == "prodigy":
        if rate < 0.1:
            yield Suggestion(name, "1", "Prodigy finds the step size by itself; the learning rate only scales it")
        return
    if config.optim.optimizer == "lion":
        return  # its steps have another size; these rates were found with Adam's
    own_rate = _number(card, name, REFERENCE_RATE)
    target = advice.learning_rate * own_rate / REFERENCE_RATE
    reason = f"{_decimal(advice.learning_rate)} suits {advice.images} on full-size bases"
    if own_rate != REFERENCE_RATE:
        reason += f"; times {own_rate / REFERENCE_RATE:g} here, as {card.title} itself starts at {_decimal(own_rate)}"
    own_batch = _number(card, "train.batch_size", 1)
    batch = config.train.batch_size * config.train.gradient_accumulation
    ratio = batch / own_batch
    if ratio == 1:
        if not math.isclose(rate, target, rel_tol=0.01):
            yield Suggestion(name, _decimal(target), reason)
        return
    by_root, in_proportion = target * math.sqrt(ratio), target * ratio
    low, high = sorted((by_root, in_proportion))
    if low * 0.99 <= rate <= high * 1.01:
        return
    yield Suggestion(
        name,
        f"{_decimal(by_root)} (×√{ratio:g}) or {_decimal(in_proportion)} (×{ratio:g})",
        f"{reason} with {own_batch:g} examples per update; with {batch} the rule of thumb changes it in proportion, "
        "but measured curves fit the square root better",
    )


def _about_length(advice: _Advice, config: RunConfig, card: Card) -> Iterator[Suggestion]:
    low, high = advice.epochs
    if not low <= config.train.epochs <= high and "train.epochs" not in card.defaults:
        yield Suggestion("train.epochs", _range(low, high), f"suits {advice.images}")
    low, high = advice.repeats
    for i, dataset in enumerate(config.data.datasets):
        if dataset.type == "train" and not low <= dataset.repeats <= high:
            yield Suggestion(f"data.datasets.{i}.repeats", _range(low, high), f"suits {advice.images}")


def _number(card: Card, setting: str, otherwise: float) -> float:
    value = card.defaults.get(setting, otherwise)
    return float(value) if isinstance(value, (int, float)) else otherwise


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}–{high}"


def _decimal(value: float) -> str:
    """0.00005 as '5e-5', the way people write learning rates."""
    if value >= 0.01:
        return f"{value:.2g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
