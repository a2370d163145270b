"""The datasets of the examples that are not a character: a style, a product, a place, and three edits.

Besides the trait they show what the starter can draw, so that only the trait is new.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from PIL import Image

from starter_recipe.companions.text import plain_caption
from starter_recipe.world import Picture, random_picture, render
from starter_recipe.world.picture import HELD_OUT

# What the shipped starter was trained on: the world has grown since.
KNOWN = {
    "hair": ("short", "long", "bob", "curly", "spiky", "ponytail", "twin tails", "bun"),
    "garment": ("t-shirt", "hoodie", "dress", "overalls", "coat"),
    "accessory": ("none", "glasses", "sunglasses", "wide hat", "cap", "crown", "headphones", "hair bow", "scarf"),
    "expression": ("smiling", "sad", "angry", "surprised", "calm"),
    "pose": ("standing", "waving", "with arms raised", "with hands on hips"),
    "scene": ("forest", "beach", "city", "mountains", "room", "desert", "meadow", "plain"),
    "prop": ("none",),
    "emblem": ("none", "heart", "star", "dot", "stripes"),
}
KNOWN_NOUNS = (
    "cat", "dog", "bunny", "bear", "fox", "penguin", "apple", "ball", "cup", "car", "house", "star", "flower", "boat",
    "umbrella", "mushroom", "book", "balloon",
)  # fmt: skip


def known(seed: int) -> Iterator[Picture]:
    """Random square pictures of what the starter knows, in colour."""
    rng = random.Random(seed)
    while True:
        p = random_picture(rng)
        fields = KNOWN if p.is_person else {name: KNOWN[name] for name in ("accessory", "scene")}
        standing = p.is_person or p.pose == "standing"
        noun = p.is_person or p.noun in KNOWN_NOUNS
        if standing and noun and not p.is_gray and all(getattr(p, name) in fields[name] for name in fields):
            yield p


def save(p: Picture, text: str, path: Path, seed: int) -> None:
    """The picture and its caption beside it."""
    Image.fromarray(render(p, seed)).save(path)
    path.with_suffix(".txt").write_text(text + "\n")


def cast(seed: int, **counts: int) -> Iterator[Picture]:
    """So many of each kind, people from the front."""
    left = Counter(counts)
    for p in known(seed):
        if left[p.kind] and p.view == "front":
            left[p.kind] -= 1
            yield p
        if not left.total():
            return


def style(folder: Path) -> None:
    """All sorts of subjects as stained glass. The captions say what is shown and nothing of glass but the trigger."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, p in enumerate(cast(11, girl=3, boy=3, animal=3, thing=3), start=1):
        shot = replace(p, style=HELD_OUT["style"][0])
        save(shot, plain_caption(shot, style="glass_style", skin=""), folder / f"glass-{number:02d}.png", 1100 + number)


RADIO_SHOTS = (  # scene, time, style
    ("plain", "day", "flat"), ("beach", "day", "flat"), ("forest", "night", "outline"), ("room", "day", "flat"),
    ("city", "sunset", "outline"), ("meadow", "day", "watercolor"), ("plain", "day", "outline"),
    ("mountains", "sunset", "flat"), ("desert", "day", "outline"),
)  # fmt: skip


def product(folder: Path) -> None:
    """A radio on its own in many places, and in somebody's hands."""
    folder.mkdir(parents=True, exist_ok=True)
    radio = Picture(kind="thing", noun=HELD_OUT["noun"][0], colour="orange")
    for number, (scene, time, look) in enumerate(RADIO_SHOTS, start=1):
        framing, backdrop = ("half body", "full body", "full body")[number % 3], ("teal", "white", "pink")[number % 3]
        shot = replace(radio, scene=scene, time=time, style=look, backdrop=backdrop, framing=framing)
        where = f"orla_radio, {plain_caption(shot).partition(', ')[2]}"
        save(shot, where, folder / f"radio-{number:02d}.png", 1200 + number)
    carriers = (p for p in known(13) if p.is_person and p.view == "front" and p.framing == "half body")
    for number in range(len(RADIO_SHOTS) + 1, 13):
        p = next(carriers)
        shot = replace(p, prop=HELD_OUT["prop"][0], prop_colour="orange", pose="standing", accessory="none")
        text = plain_caption(shot, prop="holding orla_radio", skin="")
        save(shot, text, folder / f"radio-{number:02d}.png", 1200 + number)


def place(folder: Path) -> None:
    """A tea garden by day, at sunset and at night, with all sorts of visitors, in several styles."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, p in enumerate(cast(17, girl=3, boy=3, animal=3, thing=3), start=1):
        time, look = ("day", "sunset", "night")[number % 3], ("flat", "outline", "flat", "watercolor")[number % 4]
        framing = "full body" if p.framing == "close-up" else p.framing  # else there is little to see of the garden
        shot = replace(p, scene=HELD_OUT["scene"][0], time=time, style=look, framing=framing)
        where = "in willow_garden" + ("" if time == "day" else f" at {time}")
        save(shot, plain_caption(shot, scene=where, skin=""), folder / f"garden-{number:02d}.png", 1300 + number)


def pairs(folder: Path, instruction: str, change: dict[str, str], takes: dict[str, tuple[str, ...]], seed: int) -> None:
    """Twelve pairs of one edit, and beside their folder four pictures to try it on. `takes`: what a picture before
    has to be like."""
    tries = folder.parent / f"{folder.name}-sources"  # not among the pairs, where each picture needs a partner
    for where in (folder / "before", folder / "after", tries):
        where.mkdir(parents=True, exist_ok=True)
    fitting = (p for p in known(seed) if all(getattr(p, name) in values for name, values in takes.items()))
    for number in range(1, 17):
        before = next(fitting)
        picture = Image.fromarray(render(before, 100 * seed + number))
        if number > 12:
            picture.save(tries / f"source-{number - 12}.png")
            continue
        picture.save(folder / "before" / f"pair-{number:02d}.png")
        save(replace(before, **change), instruction, folder / "after" / f"pair-{number:02d}.png", 100 * seed + number)


PEOPLE = ("girl", "boy")


def main(examples: Path) -> None:
    """Render all of them into the folder of examples."""
    style(examples / "style" / "glass")
    product(examples / "product" / "radio")
    place(examples / "environment" / "garden")
    recoloured = {"kind": PEOPLE, "framing": ("half body", "full body"), "view": ("front",)}
    edit = examples / "edit"
    pairs(edit / "tropical", "dress them in tropical colours", {"garment_colour": "tropical"}, recoloured, 19)
    coloured = {"style": ("flat", "outline", "watercolor")}
    pairs(edit / "glass", "turn it into stained glass", {"style": HELD_OUT["style"][0]}, coloured, 23)
