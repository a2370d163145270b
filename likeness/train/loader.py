"""From manifest rows to batches of cached tensors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from likeness.config.data import DataConfig
from likeness.dataset.buckets import bucket_size, fit
from likeness.dataset.ingest import open_rgb
from likeness.dataset.manifest import Example
from likeness.events import Stage
from likeness.families.base import Condition, Family
from likeness.functional.randomness import derived_seed, uniform
from likeness.train.cache import Cache, key_of

CROP_VARIANTS = 4  # places of a random crop per picture; cached latents make more of them costly


@dataclass(frozen=True)
class View:
    """One way to show a picture: where it is cropped and whether it is mirrored."""

    offset: tuple[float, float]  # 0 left or top … 1 right or bottom
    flip: bool


@dataclass(frozen=True)
class Item:
    """An example made ready: cache keys, one for each view."""

    example: Example
    size: tuple[int, int]  # width, height in pixels
    latent_keys: tuple[str, ...]
    reference_keys: tuple[str, ...]  # empty for kinds without references
    text_key: str

    @property
    def bucket(self) -> tuple[int, int]:
        return self.size


@dataclass(frozen=True)
class Batch:
    x0: Tensor  # (B, C, h, w)
    references: Tensor | None  # (B, C, h, w)
    conditions: list[Condition]


@dataclass(frozen=True)
class Slot:
    """One place in a batch: which item, and which draws belong to it."""

    item: int
    number: int  # counts over all micro-batches of a step


def views_of(example: Example, size: tuple[int, int], data: DataConfig, seed: int) -> list[View]:
    """The views that a picture is trained in; one in the middle unless crops are random."""
    offsets = [(0.5, 0.5)]
    slack = example.width * size[1] != example.height * size[0]
    if data.crop == "random" and slack:
        rng = np.random.default_rng(derived_seed(seed, "crop", example.id))
        offsets = [(float(x), float(y)) for x, y in rng.random((CROP_VARIANTS, 2))]
    flips = (False, True) if data.flip else (False,)
    return [View(offset, flip) for offset in offsets for flip in flips]


def pixels(path: str, size: tuple[int, int], view: View) -> Tensor:
    """(3, H, W) in [-1, 1]."""
    image = fit(open_rgb(Path(path)), size, view.offset)
    if view.flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 127.5 - 1


def prepare(
    family: Family, examples: Sequence[Example], data: DataConfig, resolution: int, seed: int, cache: Cache
) -> Iterator[Stage | list[Item]]:
    """Encode what the cache lacks, telling the progress; the last thing yielded is the list of items."""
    jobs: dict[str, tuple[str, tuple[int, int], View]] = {}
    texts: dict[str, str] = {}
    items: list[Item] = []
    image_identity, text_identity = family.image_identity, family.text_identity

    def text_key(text: str) -> str:
        key = _text_key(text, text_identity)
        texts[key] = text
        return key

    def latent_key(path: str, sha256: str, size: tuple[int, int], view: View) -> str:
        key = key_of("latents", sha256, size, view, image_identity)
        jobs[key] = (path, size, view)
        return key

    for e in examples:
        size = bucket_size(e.width, e.height, resolution, family.card.multiple)
        views = views_of(e, size, data, seed)
        references: tuple[str, ...] = ()
        if e.reference is not None and e.reference_sha256 is not None:
            references = tuple(latent_key(e.reference, e.reference_sha256, size, v) for v in views)
        latents = tuple(latent_key(e.path, e.sha256, size, v) for v in views)
        items.append(Item(e, size, latents, references, text_key(e.caption)))
    text_key("")  # for caption dropout

    missing = [k for k in [*texts, *jobs] if not cache.has(k)]
    for done, key in enumerate(missing):
        yield Stage(name="encoding", done=done, total=len(missing))
        if key in texts:
            cache.put(key, family.encode_text([texts[key]])[0])
        else:
            path, size, view = jobs[key]
            cache.put(key, {"latents": family.encode_images(pixels(path, size, view)[None])[0]})
    yield Stage(name="encoding", done=len(missing), total=len(missing))
    yield items


def empty_text_key(family: Family) -> str:
    """The cache key of the empty caption, which stands in for dropped ones."""
    return _text_key("", family.text_identity)


def _text_key(text: str, identity: str) -> str:
    return key_of("text", text, identity)


def load_batch(
    cache: Cache, items: Sequence[Item], slots: Sequence[Slot], empty_key: str, *, dropout: float, seed: int, step: int
) -> Batch:
    """The tensors of one micro-batch. View and caption dropout are drawn from (seed, step, slot)."""
    latents: list[Tensor] = []
    references: list[Tensor] = []
    conditions: list[Condition] = []
    for slot in slots:
        item = items[slot.item]
        view = derived_seed(seed, "view", step, slot.number) % len(item.latent_keys)
        latents.append(cache.get(item.latent_keys[view])["latents"])
        if item.reference_keys:
            references.append(cache.get(item.reference_keys[view])["latents"])
        dropped = uniform(seed, "caption dropout", step, slot.number) < dropout
        conditions.append(cache.get(empty_key if dropped else item.text_key))
    return Batch(torch.stack(latents), torch.stack(references) if references else None, conditions)
