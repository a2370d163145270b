"""A contact sheet of everything that the world can draw, one row for each attribute.

python -m starter_recipe.world sheet.png
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from starter_recipe.world import picture as world
from starter_recipe.world.picture import HELD_OUT, SIZES, Picture
from starter_recipe.world.render import render

CELL = 132  # pixels


def rows() -> dict[str, list[Picture]]:
    """One list of pictures for each attribute, held-out values last."""

    def each(base: Picture, field: str, values: Sequence[str]) -> list[Picture]:
        return [replace(base, **{field: v}) for v in (*dict.fromkeys(values), *HELD_OUT.get(field, ()))]

    plain = Picture(scene="plain", backdrop="gray", hair_colour="brown", garment_colour="teal")
    full = replace(plain, framing="full body")
    back, side = (replace(plain, view=v, hair_colour="blonde") for v in ("back", "side"))
    cat = Picture(kind="animal", scene="plain", backdrop="teal", framing="full body", accessory_colour="green")
    walking, sleeping = (replace(cat, pose=pose) for pose in ("walking", "sleeping"))
    thing = Picture(kind="thing", noun="car", scene="plain", backdrop="gray", colour="purple", framing="full body")
    four_legged = [a for a in world.ANIMALS if a not in world.UPRIGHT_ANIMALS]
    worn = [a for a in dict.fromkeys(world.ACCESSORIES) if a != "none"]
    times = dict.fromkeys(world.TIMES)
    return {
        "hair": each(plain, "hair", world.HAIRS),
        "hair, side": each(side, "hair", world.HAIRS)[:-1],
        "hair, back": each(back, "hair", world.HAIRS)[:-1],
        "hair colour": each(plain, "hair_colour", tuple(world.HAIR_COLOURS)),
        "garment": each(full, "garment", world.GARMENTS),
        "garment, near": each(replace(plain, garment_colour="red"), "garment", world.GARMENTS),
        "garment, side": each(replace(full, view="side"), "garment", world.GARMENTS),
        "garment, back": each(replace(full, view="back"), "garment", world.GARMENTS),
        "garment colour": each(plain, "garment_colour", world.GARMENT_COLOURS),
        "emblem": each(plain, "emblem", world.EMBLEMS),
        "accessory": each(replace(plain, accessory_colour="purple"), "accessory", worn),
        "accessory, side": each(replace(full, view="side"), "accessory", worn),
        "accessory, back": each(replace(full, view="back"), "accessory", worn),
        "expression": each(plain, "expression", world.EXPRESSIONS),
        "pose": each(full, "pose", world.POSES),
        "pose, near": each(plain, "pose", [q for q in world.POSES if q not in world.LEG_POSES]),
        "pose, side": each(replace(full, view="side"), "pose", world.POSES),
        "prop": each(plain, "prop", world.PROPS),
        "animal": each(cat, "noun", world.ANIMALS)[:-1],
        "animal, walking": each(walking, "noun", four_legged)[:-1],
        "animal, sleeping": each(sleeping, "noun", four_legged)[:-1],
        "animal, worn": each(cat, "accessory", world.ANIMAL_ACCESSORIES),
        "animal, colour": each(cat, "colour", world.ANIMAL_COLOURS),
        "thing": each(thing, "noun", world.THINGS),
        **{f"scene, {t}": each(replace(full, time=t, hair="long"), "scene", world.SCENES) for t in times},
        "style": [q for s in ("beach", "castle") for q in each(Picture(scene=s), "style", world.STYLES)],
        **{f"{w}×{h}": shapes(w, h) for w, h in SIZES[1:]},
    }


def shapes(width: int, height: int) -> list[Picture]:
    """Every kind, framing and many a scene in one shape."""
    scenes = ("forest", "beach", "room", "castle", "library", "harbour", "kitchen", "farm", "snow", "tea garden")
    framings = ("full body", "half body", "close-up", "full body", "full body") * 2
    figures = (("girl", ""), ("girl", ""), ("boy", ""), ("animal", "fox"), ("thing", "car")) * 2
    base = Picture(hair="twin tails", hair_colour="blonde", width=width, height=height)
    return [
        replace(base, scene=scene, framing=framing, kind=kind, noun=noun)
        for scene, framing, (kind, noun) in zip(scenes, framings, figures, strict=True)
    ]


def sheet(row: list[Picture], seed: int) -> Image.Image:
    """The pictures side by side, 14 to a line."""
    per_line = 14
    high, wide = max(p.height for p in row) + 4, max(p.width for p in row) + 4
    lines = -(-len(row) // per_line)
    out = Image.new("RGB", (per_line * max(wide, CELL), lines * high), "white")
    for i, p in enumerate(row):
        image = Image.fromarray(np.asarray(render(p, seed + i)))
        out.paste(image, (i % per_line * max(wide, CELL), i // per_line * high))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--only", help="the rows whose name starts with this")
    args = parser.parse_args()
    sheets = [sheet(row, 40) for name, row in rows().items() if name.startswith(args.only or "")]
    out = Image.new("RGB", (max(s.width for s in sheets), sum(s.height for s in sheets)), "white")
    y = 0
    for part in sheets:
        out.paste(part, (0, y))
        y += part.height
    out.save(args.file)


if __name__ == "__main__":
    main()
