"""Loss at fixed probes: the same (timestep, noise) points per image at every epoch, so that epochs compare."""

from collections.abc import Sequence

import torch

from likeness.events import ProbesMeasured
from likeness.families.base import Family
from likeness.functional.randomness import derived_seed, normal
from likeness.functional.timesteps import strata
from likeness.train.cache import Cache
from likeness.train.loader import Batch, Item, mask_weights
from likeness.train.step import losses_at

MOST_TRAINING_IMAGES = 24  # probes are forward passes: more images would cost more than they tell


def chosen(items: Sequence[Item], seed: int) -> list[Item]:
    """All held-out items, and training ones up to the limit, drawn by seed and content; no regularisation."""
    held_out = [i for i in items if i.example.held_out]
    training = [i for i in items if i.example.type == "train" and not i.example.held_out]
    training.sort(key=lambda i: derived_seed(seed, "probe choice", i.example.id))
    return held_out + training[:MOST_TRAINING_IMAGES]


@torch.no_grad()
def measure(
    family: Family, items: Sequence[Item], cache: Cache, probes: int, outside: float, seed: int, epoch: int, step: int
) -> ProbesMeasured:
    """Mean loss of each item over `probes` stratified timesteps, in the plain view and with its own caption.

    `outside`: the weight of what lies outside of a mask, as in training.
    """
    per_image: list[tuple[str, float]] = []
    per_probe: dict[str, list[float]] = {}
    means: dict[bool, list[float]] = {True: [], False: []}
    for item in items:
        sized = item.sizes[-1]  # the largest
        entry = cache.get(sized.plain.latents)["latents"]
        x0 = entry.expand(probes, *entry.shape)
        seen = [cache.get(key)["latents"] for key in sized.plain.references]
        references = [r.expand(probes, *r.shape) for r in seen]
        masks = mask_weights([sized.plain.mask], x0, outside, cache)
        batch = Batch(x0, references, [cache.get(sized.texts[0])] * probes, masks)
        t = family.objective.draw_times(strata(probes), x0.shape[-2] * x0.shape[-1], "auto", None)
        noise = torch.stack([normal(tuple(entry.shape), seed, "probe", item.example.id, k) for k in range(probes)])
        losses = losses_at(family, batch, t, noise)
        loss = losses.mean().item()
        if item.example.held_out:
            per_probe[item.example.id] = [round(value, 7) for value in losses.tolist()]
        per_image.append((item.example.id, loss))
        means[item.example.held_out].append(loss)
    return ProbesMeasured(
        epoch=epoch,
        step=step,
        train_loss=_mean(means[False]),
        held_out_loss=_mean(means[True]) if means[True] else None,
        per_image=per_image,
        per_probe=per_probe,
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
