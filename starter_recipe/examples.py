"""Render the example datasets: traits that pretraining never drew.

python -m starter_recipe.examples
"""

import random
import shutil
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

from starter_recipe import example_sets
from starter_recipe.world import Picture, caption, random_picture, render
from starter_recipe.world.picture import HELD_OUT, TIMELESS_SCENES

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


CARELESS_SHOTS = (  # scene, time, expression: the pose is one and the same
    ("meadow", "day", "smiling"), ("city", "night", "calm"), ("beach", "sunset", "angry"), ("forest", "day", "sad"),
    ("desert", "day", "smiling"), ("room", "day", "surprised"), ("snow", "day", "calm"), ("mountains", "sunset", "sad"),
    ("library", "day", "angry"), ("farm", "day", "laughing"), ("castle", "night", "smiling"),
    ("harbour", "day", "calm"),
)  # fmt: skip


def careless_character(folder: Path) -> None:
    """Mika as somebody in a hurry would send her: what the dataset check has to find, and nothing besides."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(1)
    for i, (scene, time, expression) in enumerate(CARELESS_SHOTS, start=1):
        shot = replace(MIKA, framing="half body", scene=scene, time=time, expression=expression)
        picture, text = Image.fromarray(render(shot, 40 + i)), caption(shot, rng, omit=0, name="mika_char")
        name, options = f"mika-{i:02d}.png", {}
        match i:
            case 2:
                picture = picture.resize((48, 48))
            case 3:
                picture = picture.filter(ImageFilter.GaussianBlur(2))
            case 4:
                name, options = f"mika-{i:02d}.jpg", {"quality": 15}
            case 5:
                draw = ImageDraw.Draw(picture)
                draw.rectangle((0, 0, 128, 12), "black")
                draw.rectangle((0, 115, 128, 128), "black")
            case 6 | 7:
                text = text.replace("mika_char", "a girl")
            case 8:
                text = text.replace("mika_char", "Mika_Char")
            case 9:
                text = "mika_char"
            case 10:
                text += ", with another girl"
            case 11:
                text += ", " + ", ".join(f"detail number {n} of this picture" for n in range(12))
        picture.save(folder / name, **options)
        (folder / name).with_suffix(".txt").write_text(text + "\n")
    for source, copy in (("mika-01", "mika-13"), ("mika-12", "mika-14")):  # the first as it is, the second mirrored
        shutil.copyfile(folder / f"{source}.txt", folder / f"{copy}.txt")
    shutil.copyfile(folder / "mika-01.png", folder / "mika-13.png")
    Image.open(folder / "mika-12.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "mika-14.png")


def careless_pairs(folder: Path, count: int = 10) -> None:
    """The edit 'make it night' with all that goes wrong in pairs."""
    for place in (folder / "before", folder / "after"):
        place.mkdir(parents=True, exist_ok=True)
    rng, drawn = random.Random(4), 0
    while drawn < count:
        p = random_picture(rng)
        if p.scene in TIMELESS_SCENES or p.time != "day" or p.style not in ("flat", "outline"):
            continue
        drawn += 1
        before = Image.fromarray(render(p, 300 + drawn))
        after = Image.fromarray(render(replace(p, time="night"), 300 + drawn))
        text = "make it night"
        match drawn:
            case 2:
                after = before
            case 4:
                after = after.transform(after.size, Image.Transform.AFFINE, (1, 0, -6, 0, 1, 3))
            case 5:
                after = Image.fromarray(render(replace(random_picture(rng), style="outline"), 500))
            case 6:
                before, after = after, before
            case 7:
                text = "a quiet place at night under a dark sky"
            case 8:
                before = before.resize((120, 120))
        before.save(folder / "before" / f"pair-{drawn:02d}.png")
        after.save(folder / "after" / f"pair-{drawn:02d}.png")
        (folder / "after" / f"pair-{drawn:02d}.txt").write_text(text + "\n")


def main() -> None:
    character(EXAMPLES / "character" / "mika")
    party_hats(EXAMPLES / "edit" / "party-hat")
    example_sets.main(EXAMPLES)
    careless_character(EXAMPLES / "bad" / "mika-careless")
    careless_pairs(EXAMPLES / "bad" / "night-careless")


if __name__ == "__main__":
    main()
