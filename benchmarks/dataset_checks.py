"""How often each dataset check is wrong: on clean datasets of the cartoon world, and on ones with one fault planted.

python -m benchmarks.dataset_checks [--sets 40]
"""

import argparse
import io
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from likeness.config.data import DatasetConfig
from likeness.dataset.checks import Finding, Rules, findings, measure
from likeness.dataset.index import Index
from likeness.dataset.ingest import read_dataset
from starter_recipe.examples import MIKA
from starter_recipe.world import Picture, caption, edit_pair, random_picture, random_size, render
from starter_recipe.world.picture import HELD_OUT, TIMELESS_SCENES, TIMES

TRIGGER = "kivo_new"
PICTURES = 12
KINDS = ("character", "style", "product", "environment", "edit")
POSED = {"pose": "standing", "view": "front", "prop": "none", "accessory": "none", "style": "flat"}
WHITE = {"time": "day", "style": "flat", "scene": "plain", "backdrop": "white"}
MIXED = {name: value for name, value in POSED.items() if name != "style"} | {"framing": "half body"}
PLACED = {"time": "day", "style": "flat"}
_OF_MIKA = ("kind", "hair", "hair_colour", "skin", "garment", "garment_colour", "emblem")


@dataclass
class Row:
    """One picture of a dataset, or one pair."""

    image: Image.Image
    text: str
    before: Image.Image | None = None
    suffix: str = ".png"
    quality: int = 95


Fault = Callable[[list[Row], random.Random], None]


def drawn(p: Picture, seed: int) -> Image.Image:
    return Image.fromarray(render(p, seed))


def clean_set(kind: str, rng: random.Random, fixed: dict[str, str] | None = None) -> list[Row]:
    """A varied dataset; attributes in `fixed` are the same in all pictures."""
    rows: list[Row] = []
    while len(rows) < PICTURES:
        p = random_picture(rng, random_size(rng))
        seed = rng.randrange(1 << 30)
        if kind == "edit":
            before, after, instruction = edit_pair(rng, random_size(rng))
            pair = drawn(before, seed), drawn(after, seed)
            if pair[0].tobytes() != pair[1].tobytes():  # what changes may be hidden
                rows.append(Row(pair[1], instruction, pair[0]))
            continue
        if kind == "character":
            if not p.is_person or p.view == "back":
                continue
            p = replace(p, **{name: getattr(MIKA, name) for name in _OF_MIKA})
        elif kind == "style":
            p = replace(p, style=HELD_OUT["style"][0])
        elif kind == "product":
            p = replace(p, kind="thing", noun=HELD_OUT["noun"][0], framing="full body")
        else:
            p = replace(p, scene=HELD_OUT["scene"][0], time=rng.choice(TIMES))
        p = replace(p, **(fixed or {}))
        p = replace(p, width=128, height=128) if fixed else p
        text = caption(p, rng, omit=0, name=TRIGGER) if kind != "style" else f"{TRIGGER}, {caption(p, rng, omit=0)}"
        rows.append(Row(drawn(p, seed), _without_style(text) if kind == "style" else text))
    return rows


def _without_style(text: str) -> str:
    return ", ".join(part for part in text.split(", ") if "glass" not in part and "style" not in part)


def opposite_pairs(rng: random.Random, edit: str) -> list[Row]:
    """Pairs with one instruction."""
    rows: list[Row] = []
    while len(rows) < PICTURES:
        p, seed = random_picture(rng, random_size(rng)), rng.randrange(1 << 30)
        if edit == "hat" and p.is_person and p.view == "front" and p.accessory == "none" and p.framing != "close-up":
            after = replace(p, accessory="crown")
        elif edit == "night" and p.scene not in TIMELESS_SCENES and p.time == "day" and not p.is_gray:
            after = replace(p, time="night")
        elif edit == "glass":
            after = replace(p, style=HELD_OUT["style"][0])
        else:
            continue
        rows.append(Row(drawn(after, seed), f"make it {edit}", drawn(p, seed)))
    return rows


def look(rows: list[Row], kind: str, resolution: int = 128) -> list[Finding]:
    """What the checks find in these pictures, written out and read back."""
    with tempfile.TemporaryDirectory() as name, Index() as index:
        folder = Path(name)
        for i, row in enumerate(rows):
            sides = {"after": row.image, "before": row.before} if row.before else {"": row.image}
            for side, image in sides.items():
                file = folder / side / f"{i:02d}{row.suffix}"
                file.parent.mkdir(exist_ok=True)
                image.save(file, quality=row.quality)
                if side != "before":
                    file.with_suffix(".txt").write_text(row.text)
        trigger = "" if kind == "edit" else TRIGGER
        reading = read_dataset(
            DatasetConfig(path=name), index=index, store=folder / ".store", kind=kind, trigger=trigger
        )
        assert not reading.problems, reading.problems
        return findings(measure(reading.examples, Rules(kind, resolution, 16, 48), index))


def each(change: Callable[[Row, random.Random], None], share: float = 0.25) -> Fault:
    """The fault in some of the pictures."""

    def plant(rows: list[Row], rng: random.Random) -> None:
        for row in rng.sample(rows, max(1, round(share * len(rows)))):
            change(row, rng)

    return plant


def blurred(radius: float) -> Fault:
    def change(row: Row, _: random.Random) -> None:
        row.image = row.image.filter(ImageFilter.GaussianBlur(radius))

    return each(change)


def enlarged(row: Row, _: random.Random) -> None:
    small = row.image.resize((row.image.width // 2, row.image.height // 2))
    row.image = small.resize(row.image.size, Image.Resampling.BICUBIC)


def compressed(quality: int, resaved: bool) -> Fault:
    def change(row: Row, _: random.Random) -> None:
        if not resaved:
            row.suffix, row.quality = ".jpg", quality
            return
        buffer = io.BytesIO()
        row.image.save(buffer, "JPEG", quality=quality)
        row.image = Image.open(buffer).convert("RGB")

    return each(change)


def copied(change: Callable[[Image.Image], Image.Image]) -> Fault:
    def plant(rows: list[Row], rng: random.Random) -> None:
        row = rng.choice(rows)
        rows.append(replace(row, image=change(row.image)))

    return plant


def cropped(share: float) -> Callable[[Image.Image], Image.Image]:
    def crop(image: Image.Image) -> Image.Image:
        x, y = round(image.width * share), round(image.height * share)
        return image.crop((x, y, image.width - x, image.height - y)).resize(image.size)

    return crop


def saved_as_jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=50)
    return Image.open(buffer).convert("RGB")


def smaller(image: Image.Image) -> Image.Image:
    return image.resize((image.width * 3 // 4, image.height * 3 // 4))


def brighter(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1.1)


def letterboxed(row: Row, _: random.Random) -> None:
    bar = row.image.height // 8
    ImageDraw.Draw(row.image).rectangle((0, 0, row.image.width, bar), "black")
    ImageDraw.Draw(row.image).rectangle((0, row.image.height - bar, row.image.width, row.image.height), "black")


def marked(alpha: float) -> Callable[[Row, random.Random], None]:
    def change(row: Row, _: random.Random) -> None:
        size = row.image.height // 10
        layer = Image.new("L", row.image.size)
        place = row.image.width * 0.45, row.image.height - 1.5 * size
        font = ImageFont.load_default(size)
        ImageDraw.Draw(layer).text(place, "(c) studio", round(255 * alpha), font)
        row.image = Image.composite(Image.new("RGB", row.image.size, "white"), row.image, layer)

    return change


def moved(share: float) -> Fault:
    def change(row: Row, rng: random.Random) -> None:
        x, y = round(row.image.width * share), -round(row.image.height * share / 2)
        row.image = row.image.transform(row.image.size, Image.Transform.AFFINE, (1, 0, -x, 0, 1, -y))

    return each(change)


def unrelated(rows: list[Row], rng: random.Random) -> None:
    a, b = rng.sample(rows, 2)
    a.image, b.image = b.image.resize(a.image.size), a.image.resize(b.image.size)


def unchanged(row: Row, _: random.Random) -> None:
    assert row.before
    row.image = row.before.copy()


def swapped(rows: list[Row], rng: random.Random) -> None:
    row = rng.choice(rows)
    assert row.before
    row.image, row.before = row.before, row.image


# (name, check that should find it, kind, fault, attributes that all pictures share)
PLANTED: tuple[tuple[str, str, str, Fault | None, dict[str, str]], ...] = (
    ("copy saved as JPEG 50", "near_duplicates", "character", copied(saved_as_jpeg), {}),
    ("copy resized to 3/4", "near_duplicates", "style", copied(smaller), {}),
    ("copy mirrored", "near_duplicates", "character", copied(ImageOps.mirror), {}),
    ("copy brightened by 10%", "near_duplicates", "character", copied(brighter), {}),
    ("copy cropped by 2% a side", "near_duplicates", "character", copied(cropped(0.02)), {}),
    ("copy cropped by 5% a side", "near_duplicates", "character", copied(cropped(0.05)), {}),
    ("one pose, other places", "same_framing", "character", None, {**POSED, "framing": "half body"}),
    ("one pose, other places and styles", "same_framing", "character", None, MIXED),
    ("one close-up, other places", "same_framing", "character", None, {**POSED, "framing": "close-up"}),
    ("one place, other poses", "same_background", "character", None, {**PLACED, "scene": "beach"}),
    ("one backdrop, other poses", "same_background", "product", None, WHITE),
    ("blur, radius 1 pixel", "blur", "character", blurred(1), {}),
    ("blur, radius 3 pixels", "blur", "character", blurred(3), {}),
    ("enlarged twice", "blur", "environment", each(enlarged), {}),
    ("JPEG 40", "compression", "product", compressed(40, False), {}),
    ("JPEG 10 saved again as PNG", "compression", "character", compressed(10, True), {}),
    ("JPEG 30 saved again as PNG", "compression", "character", compressed(30, True), {}),
    ("letterbox", "borders", "character", each(letterboxed), {}),
    ("watermark on all", "watermark", "character", each(marked(1), 1), {}),
    ("watermark on all, 60% opaque", "watermark", "environment", each(marked(0.6), 1), {}),
    ("pair moved by 2%", "pair_shift", "edit", moved(0.02), {}),
    ("pair moved by 5%", "pair_shift", "edit", moved(0.05), {}),
    ("after from another pair", "pair_unrelated", "edit", unrelated, {}),
    ("after is before", "pair_same", "edit", each(unchanged), {}),
    ("swapped among crowns", "pair_swapped", "hat", swapped, {}),
    ("swapped among nights", "pair_swapped", "night", swapped, {}),
    ("swapped among stained glass", "pair_swapped", "glass", swapped, {}),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=40, help="datasets of each kind and of each fault")
    sets: int = parser.parse_args().sets
    print(f"clean: {sets} datasets of {PICTURES} for each kind; datasets with a finding (images named)")
    for kind in (*KINDS, "hat", "night", "glass"):
        alarms: Counter[str] = Counter()
        named: Counter[str] = Counter()
        for seed in range(sets):
            rng = random.Random(seed)
            rows = clean_set(kind, rng) if kind in KINDS else opposite_pairs(rng, kind)
            for f in look(rows, kind if kind in KINDS else "edit"):
                alarms[f.check] += 1
                named[f.check] += len(f.images)
        print(f"  {kind:12} " + (", ".join(f"{c} {n} ({named[c]})" for c, n in alarms.most_common()) or "none"))
    print(f"\nplanted: share of {sets} datasets in which the check finds it")
    for name, check, kind, fault, fixed in PLANTED:
        hits = 0
        for seed in range(1000, 1000 + sets):
            rng = random.Random(seed)
            rows = clean_set(kind, rng, fixed) if kind in KINDS else opposite_pairs(rng, kind)
            if fault:
                fault(rows, rng)
            hits += any(f.check == check for f in look(rows, kind if kind in KINDS else "edit"))
        print(f"  {name:34} {check:16} {hits / sets:6.1%}", flush=True)


if __name__ == "__main__":
    main()
