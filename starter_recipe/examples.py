"""Render the example datasets: traits that pretraining never drew.

python -m starter_recipe.examples
"""

import random
from dataclasses import replace
from pathlib import Path

from PIL import Image

from starter_recipe.world import Picture, caption, random_picture, render
from starter_recipe.world.picture import HELD_OUT

EXAMPLES = Path(__file__).parent.parent / "examples"

# Three tall fins of mint hair and a lightning bolt on the chest: nobody in the pretraining world has either.
MIKA = Picture(
    kind="girl", hair="fins", hair_colour="mint", skin="tan", garment="t-shirt", garment_colour="purple", emblem="bolt"
)
MIKA_SHOTS = (  # expression, pose, framing, scene, time, style
    ("smiling", "standing", "half body", "meadow", "day", "flat"),
    ("angry", "standing", "half body", "plain", "day", "outline"),
    ("sad", "with arms raised", "half body", "city", "day", "flat"),
    ("calm", "standing", "full body", "forest", "day", "outline"),
    ("smiling", "waving", "half body", "beach", "sunset", "flat"),
    ("surprised", "with hands on hips", "half body", "plain", "day", "flat"),
    ("smiling", "standing", "close-up", "city", "night", "outline"),
    ("calm", "waving", "half body", "forest", "night", "watercolor"),
    ("sad", "standing", "half body", "meadow", "sunset", "outline"),
    ("smiling", "with arms raised", "full body", "plain", "day", "flat"),
    ("surprised", "standing", "close-up", "beach", "day", "flat"),
    ("calm", "with hands on hips", "half body", "city", "sunset", "watercolor"),
)
BACKDROPS = ("yellow", "pink", "teal", "white")


def character(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(0)
    for i, (expression, pose, framing, scene, time, style) in enumerate(MIKA_SHOTS):
        shot = replace(
            MIKA, expression=expression, pose=pose, framing=framing, scene=scene, time=time, style=style,
            backdrop=BACKDROPS[i % len(BACKDROPS)],
        )  # fmt: skip
        Image.fromarray(render(shot, 900 + i)).save(folder / f"mika-{i + 1:02d}.png")
        (folder / f"mika-{i + 1:02d}.txt").write_text(caption(shot, rng, omit=0, name="mika_char") + "\n")


def party_hats(folder: Path, count: int = 12, sources: int = 4) -> None:
    """Pairs of the edit 'put on a party hat', and beside their folder source pictures to try it on."""
    tries = folder.parent / "sources"  # not among the pairs, where each picture needs a partner
    for place in (folder / "before", folder / "after", tries):
        place.mkdir(parents=True, exist_ok=True)
    rng = random.Random(8)
    drawn = 0
    while drawn < count + sources:
        before = random_picture(rng)
        plain_head = before.accessory == "none" and before.hair not in ("spiky", "bun") and before.framing != "close-up"
        if before.kind == "thing" or before.view != "front" or before.style in ("pixel", "sketch") or not plain_head:
            continue
        drawn += 1
        picture = Image.fromarray(render(before, 700 + drawn))
        if drawn > count:
            picture.save(tries / f"source-{drawn - count}.png")
            continue
        picture.save(folder / "before" / f"pair-{drawn:02d}.png")
        after = replace(before, accessory=HELD_OUT["accessory"][0])
        Image.fromarray(render(after, 700 + drawn)).save(folder / "after" / f"pair-{drawn:02d}.png")
        (folder / "after" / f"pair-{drawn:02d}.txt").write_text("put on a party hat\n")


def main() -> None:
    character(EXAMPLES / "character" / "mika")
    party_hats(EXAMPLES / "edit" / "party-hat")


if __name__ == "__main__":
    main()
