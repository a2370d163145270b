"""The base models to choose from, with whether each can be trained on this machine."""

from dataclasses import dataclass

from likeness.catalog import CARDS, Card
from likeness.catalog.sizes import size_of
from likeness.catalog.source import cached_snapshot
from likeness.service.costs import Fits, fit_of
from likeness.service.machine import machine
from likeness.studio.measured import measured_runs
from likeness.studio.workspace import Studio

FAMILIES = {
    "flux2": "FLUX.2", "qwen_image": "Qwen-Image", "qwen_image_21": "Qwen-Image 2.1", "flux3": "FLUX.3",
    "krea2": "Krea 2", "z_image": "Z-Image", "flux1": "FLUX.1", "stable_diffusion": "Stable Diffusion",
}  # fmt: skip
STARTER = "starter"  # in a family of its own: it is no variant of FLUX.2 to those who choose


@dataclass(frozen=True)
class Base:
    """A Card, and how it fits here. `here`: whether its files are on this machine, as far as can be seen."""

    card: Card
    family: str
    fits: Fits
    why: str
    settings: tuple[str, ...]  # with which it fits, such as 'hardware.checkpointing: blocks'
    speed: str  # for people, against its sisters and others; '' where unknown
    here: bool


def bases(studio: Studio) -> list[Base]:
    """All bases of the catalogue that can be trained, newest family first."""
    here, earlier = machine(studio.workspace), measured_runs(studio)
    found: list[Base] = []
    for card in CARDS.values():
        fits, why, settings = fit_of(card, here, earlier)
        family = "Starter" if card.name == STARTER else FAMILIES.get(card.family, card.family)
        fetched = card.path is not None or (
            card.repository is not None and cached_snapshot(card.repository) is not None
        )
        found.append(Base(card, family, fits, why, settings, _speed(card), fetched))
    return found


def _speed(card: Card) -> str:
    """How much a step computes, in words. Whole classes: the figures are counted, not measured."""
    size = size_of(card)
    if size is None or size.operations is None:
        return ""
    tera = size.operations / 1e12
    for limit, words in ((1, "runs on any machine"), (30, "fast"), (120, "medium"), (200, "slow")):
        if tera < limit:
            return words
    return "very slow"
