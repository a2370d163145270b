"""What a run will show, and how long it will be."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from likeness.catalog import Card
from likeness.config.plan import Plan, count_steps
from likeness.config.run import RunConfig
from likeness.dataset.formats import open_rgb
from likeness.dataset.geometry import shown_sizes
from likeness.dataset.manifest import Example
from likeness.dataset.order import count_batches
from likeness.dataset.tiles import Cut, cut_all


def with_tiles(examples: Sequence[Example], config: RunConfig, card: Card) -> Cut:
    """The examples with their detail crops, as `data.detail_crops` says. Raises InputError where one cannot be read."""
    sides = config.data.sides(card.resolution)
    return cut_all(examples, config.data.detail_crops, sides, lambda e: open_rgb(Path(e.path)))


def plan_run(cut: Cut, config: RunConfig, card: Card) -> Plan:
    """The length of the run, exact for several sizes too: the last batch of each size may be smaller."""
    train = config.train
    kept = [e for e in cut.examples if not e.held_out]
    counts: dict[tuple[int, int], int] = {}
    for e in kept:
        counts[e.dataset, e.repeats] = counts.get((e.dataset, e.repeats), 0) + 1
    plan = count_steps(
        [(n, repeats) for (_, repeats), n in counts.items()],
        train.epochs,
        train.batch_size,
        train.gradient_accumulation,
        held_out=len(cut.examples) - len(kept),
    )
    sides = config.data.sides(card.resolution)
    choices = [(shown_sizes(e, sides, card.multiple, config.data), e.repeats) for e in kept]
    per_epoch = -(-count_batches(choices, train.batch_size) // train.gradient_accumulation)
    arithmetic = "; ".join([plan.arithmetic, *_notes(cut, sides, plan.steps_per_epoch, per_epoch, train.epochs)])
    return replace(plan, steps_per_epoch=per_epoch, steps=per_epoch * train.epochs, arithmetic=arithmetic)


def _notes(cut: Cut, sides: tuple[int, ...], expected: int, per_epoch: int, epochs: int) -> list[str]:
    """What else decides the number of steps, or might be thought to."""
    notes: list[str] = []
    if per_epoch != expected:
        notes.append(f"{per_epoch * epochs} with one size per batch")
    if len(sides) > 1:
        listed = f"{', '.join(map(str, sides[:-1]))} or {sides[-1]}"
        notes.append(f"each showing at {listed}, all equally often: the number of steps is not multiplied")
    if cut.tiles or cut.blank:
        left_out = f", {cut.blank} blank ones left out" if cut.blank else ""
        notes.append(f"{cut.tiles} of the images are tiles of {cut.pictures} larger pictures{left_out}")
    return notes
