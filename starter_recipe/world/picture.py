"""What can be drawn: the vocabulary of the world and a random draw from it."""

import random
from dataclasses import dataclass

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 48, 49), "orange": (240, 138, 36), "yellow": (246, 205, 60), "green": (67, 160, 71),
    "blue": (50, 100, 205), "purple": (130, 70, 175), "pink": (244, 143, 177), "white": (245, 245, 245),
    "black": (45, 45, 52), "brown": (121, 78, 48), "gray": (140, 146, 155), "teal": (38, 166, 154),
}  # fmt: skip
HAIR_COLOURS: dict[str, tuple[int, int, int]] = {
    "black": (40, 36, 44), "brown": (110, 68, 40), "blonde": (243, 207, 104), "red": (190, 60, 38),
    "pink": (244, 130, 175), "blue": (70, 120, 220), "green": (90, 175, 90), "white": (236, 236, 240),
    "purple": (140, 85, 190),
}  # fmt: skip
SKINS = {"light": (255, 222, 196), "tan": (232, 180, 138), "brown": (172, 112, 76), "dark": (104, 66, 48)}

HAIRS = ("short", "long", "bob", "curly", "spiky", "ponytail", "twin tails", "bun")
GARMENTS = ("t-shirt", "hoodie", "dress", "overalls", "coat")
GARMENT_COLOURS = tuple(c for c in COLOURS if c != "gray")
EMBLEMS = ("none", "none", "none", "heart", "star", "dot", "stripes")
EMBLEM_GARMENTS = ("t-shirt", "hoodie", "dress")
ACCESSORIES = (
    "none", "none", "none", "glasses", "sunglasses", "wide hat", "cap", "crown", "headphones", "hair bow", "scarf",
)  # fmt: skip
ANIMAL_ACCESSORIES = ("none", "none", "crown", "wide hat", "scarf", "hair bow")
EXPRESSIONS = ("smiling", "sad", "angry", "surprised", "calm")
POSES = ("standing", "waving", "with arms raised", "with hands on hips")
VIEWS = ("front", "front", "front", "front", "front", "side", "back")
FRAMINGS = ("full body", "half body", "half body", "close-up")
SCENES = ("forest", "beach", "city", "mountains", "room", "desert", "meadow", "plain", "plain")
TIMES = ("day", "day", "sunset", "night")
STYLES = ("flat", "flat", "flat", "outline", "outline", "outline", "watercolor", "watercolor", "pixel", "sketch")
ANIMALS = ("cat", "dog", "bunny", "bear", "fox", "penguin")
ANIMAL_COLOURS = ("orange", "gray", "white", "brown", "black", "pink", "blue", "yellow")
THINGS = ("apple", "ball", "cup", "car", "house", "star", "flower", "boat", "umbrella", "mushroom", "book", "balloon")
BACKDROPS = ("yellow", "pink", "teal", "gray", "white", "blue", "orange", "green")

# Traits that pretraining never draws. They exist for the example datasets, so that a LoRA has something to teach.
HELD_OUT = {"hair": ("fins",), "hair_colour": ("mint",), "emblem": ("bolt",), "accessory": ("party hat",)}
HELD_OUT_HAIR_COLOURS = {"mint": (70, 235, 200)}


@dataclass(frozen=True)
class Picture:
    """The attributes of one drawing. Fields that a kind does not use keep their defaults."""

    kind: str = "girl"  # girl | boy | animal | thing
    style: str = "flat"
    scene: str = "meadow"
    time: str = "day"
    backdrop: str = "yellow"  # colour of the plain scene
    hair: str = "short"
    hair_colour: str = "brown"
    skin: str = "tan"
    garment: str = "t-shirt"
    garment_colour: str = "red"
    emblem: str = "none"
    accessory: str = "none"
    accessory_colour: str = "red"
    expression: str = "smiling"
    pose: str = "standing"
    view: str = "front"
    framing: str = "half body"
    noun: str = "cat"  # which animal or thing
    colour: str = "orange"  # of the animal or thing

    @property
    def is_person(self) -> bool:
        return self.kind in ("girl", "boy")

    @property
    def is_gray(self) -> bool:
        """A pencil sketch shows no colours, so captions and recolouring must not name any."""
        return self.style == "sketch"


def random_picture(rng: random.Random) -> Picture:
    """Draw attributes at random, people most often, never a held-out trait."""
    pick = rng.choice
    kind = pick(("girl", "boy")) if (u := rng.random()) < 0.68 else ("animal" if u < 0.86 else "thing")
    scene = pick(SCENES)
    base = {
        "kind": kind,
        "style": pick(STYLES),
        "scene": scene,
        "time": "day" if scene == "plain" else pick(TIMES),
        "backdrop": pick(BACKDROPS),
        "accessory_colour": pick(GARMENT_COLOURS),
    }
    if kind == "animal":
        return Picture(
            **base,
            noun=pick(ANIMALS),
            colour=pick(ANIMAL_COLOURS),
            accessory=pick(ANIMAL_ACCESSORIES),
            framing=pick(("full body", "full body", "half body")),
        )
    if kind == "thing":
        return Picture(**base, noun=pick(THINGS), colour=pick(GARMENT_COLOURS), framing="full body")
    hairs = HAIRS if kind == "girl" else tuple(h for h in HAIRS if h not in ("twin tails", "bun", "bob"))
    garment = pick(GARMENTS if kind == "girl" else tuple(g for g in GARMENTS if g != "dress"))
    view = pick(VIEWS)
    accessory = pick(ACCESSORIES)
    if view == "back" and accessory in ("glasses", "sunglasses"):
        accessory = "none"
    return Picture(
        **base,
        hair=pick(hairs),
        hair_colour=pick(tuple(HAIR_COLOURS)),
        skin=pick(tuple(SKINS)),
        garment=garment,
        garment_colour=pick(GARMENT_COLOURS),
        emblem=pick(EMBLEMS) if garment in EMBLEM_GARMENTS and view == "front" else "none",
        accessory=accessory,
        expression=pick(EXPRESSIONS),
        pose=pick(POSES),
        view=view,
        framing=pick(FRAMINGS),
    )
