"""From manifest rows to batches of cached tensors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from likeness.config.data import DataConfig
from likeness.dataset.augment import View, plain_view, show, texts_of, views_of
from likeness.dataset.captions import has_trigger, without_trigger
from likeness.dataset.geometry import Frame, frame_of, reference_frame, shown_sizes
from likeness.dataset.manifest import Box, Example
from likeness.dataset.order import Visit
from likeness.dataset.tiles import moved_box
from likeness.events import Stage
from likeness.families.base import Condition, Family
from likeness.functional.randomness import derived_seed, uniform
from likeness.train.cache import Cache, key_of
from likeness.train.views import Source, learned_share, opened, pixels

Key = str  # of an entry in the cache
Size = tuple[int, int]  # width, height in pixels


@dataclass(frozen=True)
class Shown:
    """A picture with its references and its mask in one frame and view."""

    latents: Key
    references: tuple[Key, ...]
    mask: Key | None


@dataclass(frozen=True)
class Sized:
    """An example at one of the sizes that it is shown at."""

    size: Size
    reference_sizes: tuple[Size, ...]  # of each reference; none for kinds without
    views: tuple[tuple[Shown, ...], ...]  # for each place that a tile takes from epoch to epoch: the variations
    texts: tuple[Key, ...]  # the variations of its caption, its own first
    empty_text: Key  # stands in for a dropped caption
    spared_texts: tuple[Key | None, ...]  # the same without their trigger; None where there is nothing to spare

    @property
    def bucket(self) -> tuple[Size, ...]:
        """What a batch must have in common: the size of the picture, then those of its references."""
        return (self.size, *self.reference_sizes)

    @property
    def plain(self) -> Shown:
        """The view without random changes, of a tile at its own place."""
        return self.views[0][0]


@dataclass(frozen=True)
class Item:
    """An example made ready, at each of its sizes."""

    example: Example
    sizes: tuple[Sized, ...]

    @property
    def buckets(self) -> tuple[tuple[Size, ...], ...]:
        return tuple(sized.bucket for sized in self.sizes)


@dataclass(frozen=True)
class Batch:
    """What goes through the model at once, all of one size."""

    x0: Tensor  # (B, C, h, w)
    references: Sequence[Tensor]  # the first, second … reference of every example, each (B, C, h', w')
    conditions: list[Condition]
    masks: Tensor | None = None  # (B, 1, h, w): weights of the errors, 0 to 1
    weights: Tensor | None = None  # (B,): of the examples
    spared: Sequence[Condition | None] = ()  # captions without the trigger, where they should go on as the base has it


@dataclass(frozen=True)
class Slot:
    """One place in a batch: which example at which size, and which draws belong to it."""

    visit: Visit
    number: int  # counts over all micro-batches of a step


class Preparation:
    """Collects what has to be encoded for examples; a key stands for all that decides its entry."""

    def __init__(
        self, family: Family, data: DataConfig, sides: Sequence[int], seed: int, epochs: int, spare: str | None
    ):
        self.family, self.data, self.sides, self.seed, self.epochs = family, data, sides, seed, epochs
        self.spare = spare
        self.pictures: dict[Key, tuple[Source, Frame, View]] = {}
        self.masks: dict[Key, tuple[Source, Frame, View, Key]] = {}  # with the latents that it lies over
        self.texts: dict[Key, tuple[str, tuple[tuple[Source, Frame], ...]]] = {}
        self._images, self._words = family.image_identity, family.text_identity

    def item(self, e: Example) -> Item:
        """Held-out examples are only measured with, so they are not varied."""
        sizes = shown_sizes(e, self.sides, self.family.card.multiple, self.data)
        settings = self.data.augment
        views = (plain_view(settings),) if e.held_out else views_of(e.id, settings, self.seed)
        captions = e.captions or (e.caption,)
        texts = (captions[0],) if e.held_out else texts_of(captions, self.data.captions, e.id, self.seed)
        boxes = self._boxes(e)
        return Item(e, tuple(self._sized(e, size, boxes, views, texts) for size in sizes))

    def _boxes(self, e: Example) -> tuple[Box | None, ...]:
        """Where each epoch shows a tile, its own place first; one place for all else."""
        if not any(e.moves or ()):
            return (e.crop,)
        picture, crops = opened(e.path, e.sha256), self.data.detail_crops
        epochs = range(2, self.epochs + 1)
        return (e.crop, *(moved_box(e, picture, crops, self.seed, epoch) for epoch in epochs))

    def _sized(
        self, e: Example, size: Size, boxes: Sequence[Box | None], views: Sequence[View], texts: Sequence[str]
    ) -> Sized:
        sizes = tuple(self.family.reference_size(source, size) for source in e.reference_sizes)
        target = Source(e.path, e.sha256, (e.width, e.height), e.mask, e.mask_sha256)
        references = [Source(*r) for r in zip(e.references, e.reference_sha256s, e.reference_sizes, strict=True)]

        def frames(box: Box | None) -> tuple[Frame, list[tuple[Source, Frame]]]:
            frame = frame_of(e, size, self.data, box)
            seen = [reference_frame(e, n, s, frame) for n, s in enumerate(sizes)]
            return frame, list(zip(references, seen, strict=True))

        def shown(box: Box | None, view: View) -> Shown:
            frame, seen = frames(box)
            latents = self._picture(target, frame, view)
            keys = tuple(self._picture(source, f, view) for source, f in seen)
            return Shown(latents, keys, self._mask(target, frame, view, latents))

        seen = tuple(frames(boxes[0])[1]) if self.family.card.text_sees_references else ()
        return Sized(
            size,
            sizes,
            tuple(tuple(shown(box, view) for view in views) for box in boxes),
            tuple(self._text(text, seen) for text in texts),
            self._text("", seen),
            tuple(self._spared(text, e, seen) for text in texts),
        )

    def _spared(self, text: str, e: Example, seen: tuple[tuple[Source, Frame], ...]) -> Key | None:
        if self.spare is None or e.held_out or not e.trigger or not has_trigger(text, e.trigger):
            return None
        return self._text(without_trigger(text, e.trigger, self.spare), seen)

    def _picture(self, source: Source, frame: Frame, view: View) -> Key:
        key = key_of("latents", source.sha256, frame, view, self._images)
        self.pictures[key] = (source, frame, view)
        return key

    def _mask(self, source: Source, frame: Frame, view: View, latents: Key) -> Key | None:
        masked = source.mask is not None and self.data.masked_loss.enabled
        if not (masked or frame.padded):
            return None
        source = source if masked else replace(source, mask=None, mask_sha256=None)
        own = source.sha256 if source.mask == source.path else source.mask_sha256  # alpha: another picture in one file
        key = key_of("mask", masked, own, source.size, frame, view.shape, self._images)
        self.masks[key] = (source, frame, view, latents)
        return key

    def _text(self, text: str, seen: tuple[tuple[Source, Frame], ...]) -> Key:
        key = key_of("text", text, self._words, *((s.sha256, frame) for s, frame in seen))
        self.texts[key] = (text, seen)
        return key

    def encode(self, key: Key, cache: Cache) -> None:
        """Make one entry. Masks are made after their latents."""
        if key in self.texts:
            text, seen = self.texts[key]
            pictures = [show(opened(s.path, s.sha256), frame, View()) for s, frame in seen]
            cache.put(key, self.family.encode_text([text], pictures)[0])
        elif key in self.pictures:
            cache.put(key, {"latents": self.family.encode_images(pixels(*self.pictures[key])[None])[0]})
        else:
            source, frame, view, latents = self.masks[key]
            height, width = cache.get(latents)["latents"].shape[-2:]
            cache.put(key, {"mask": learned_share(source, frame, view, (width, height))})

    def missing(self, cache: Cache) -> list[Key]:
        return [key for key in (*self.texts, *self.pictures, *self.masks) if not cache.has(key)]


def prepare(
    family: Family,
    examples: Sequence[Example],
    data: DataConfig,
    resolution: int,
    seed: int,
    cache: Cache,
    epochs: int = 1,
    spare: str | None = None,
) -> Iterator[Stage | list[Item]]:
    """Encode what the cache lacks, telling the progress; the last thing yielded is the list of items.

    `spare`: what stands in the trigger's place in captions that should go on as the base draws them; None for none.
    """
    work = Preparation(family, data, data.sides(resolution), seed, epochs, spare)
    items = [work.item(e) for e in examples]
    missing = work.missing(cache)
    for done, key in enumerate(missing):
        yield Stage(name="encoding", done=done, total=len(missing))
        work.encode(key, cache)
    opened.cache_clear()
    cache.pack()
    yield Stage(name="encoding", done=len(missing), total=len(missing))
    yield items


def load_batch(
    cache: Cache, items: Sequence[Item], slots: Sequence[Slot], data: DataConfig, *, seed: int, step: int, epoch: int
) -> Batch:
    """The tensors of one micro-batch. View, caption and caption dropout are drawn from (seed, step, slot)."""
    latents: list[Tensor] = []
    references: list[list[Tensor]] = []
    conditions: list[Condition] = []
    masks: list[Key | None] = []
    spared: list[Condition | None] = []
    for slot in slots:
        sized = items[slot.visit.example].sizes[slot.visit.bucket]
        places = sized.views[(epoch - 1) % len(sized.views)]
        shown = places[derived_seed(seed, "view", step, slot.number) % len(places)]
        latents.append(cache.get(shown.latents)["latents"])
        references.append([cache.get(key)["latents"] for key in shown.references])
        masks.append(shown.mask)
        dropped = uniform(seed, "caption dropout", step, slot.number) < data.captions.dropout
        number = derived_seed(seed, "caption", step, slot.number) % len(sized.texts)
        conditions.append(cache.get(sized.empty_text if dropped else sized.texts[number]))
        key = None if dropped else sized.spared_texts[number]
        spared.append(cache.get(key) if key else None)
    x0 = torch.stack(latents)
    weights = torch.tensor([items[slot.visit.example].example.loss_weight for slot in slots])
    return Batch(
        x0,
        [torch.stack(r) for r in zip(*references, strict=True)],
        conditions,
        mask_weights(masks, x0, data.masked_loss.outside, cache),
        weights if (weights != 1).any() else None,
        spared,
    )


def mask_weights(masks: Sequence[Key | None], x0: Tensor, outside: float, cache: Cache) -> Tensor | None:
    """(B, 1, h, w), `outside` where a mask is black and 1 where it is white; None where nothing is masked."""
    if not any(masks):
        return None
    whole = torch.ones(1, *x0.shape[-2:])
    return torch.stack([outside + (1 - outside) * cache.get(key)["mask"] if key else whole for key in masks])
