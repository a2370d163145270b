"""What can be drawn: the vocabulary of the world and a random draw from it."""

import random
from dataclasses import dataclass, replace

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

HAIRS = (
    "short", "long", "bob", "curly", "spiky", "ponytail", "twin tails", "bun",
    "afro", "mohawk", "space buns", "braids", "wavy", "bowl cut", "quiff", "dreadlocks",
)  # fmt: skip
GIRL_HAIRS = ("bob", "twin tails", "bun", "space buns", "braids", "wavy")  # not on boys
GARMENTS = (
    "t-shirt", "hoodie", "dress", "overalls", "coat",
    "sweater", "tank top", "jacket", "suit", "skirt", "kimono", "poncho", "apron",
)  # fmt: skip
GIRL_GARMENTS = ("dress", "skirt")  # not on boys
GARMENT_COLOURS = tuple(c for c in COLOURS if c != "gray")
EMBLEMS = ("none", "none", "none", "none", "heart", "star", "dot", "stripes", "moon", "flower", "diamond")
EMBLEM_GARMENTS = ("t-shirt", "hoodie", "dress", "sweater", "tank top")
ACCESSORIES = (
    *("none",) * 6, "glasses", "sunglasses", "wide hat", "cap", "crown", "headphones", "hair bow", "scarf",
    "beanie", "top hat", "witch hat", "flower crown", "cat ears", "bow tie", "eye patch", "backpack", "cape", "wings",
)  # fmt: skip
FRONT_ACCESSORIES = ("glasses", "sunglasses", "eye patch", "bow tie")  # cannot be seen from behind
HIDES_HAIR = ("wide hat", "cap", "beanie", "top hat", "witch hat")  # what stands up from the head is not seen
FIXED_COLOUR_ACCESSORIES = ("glasses", "sunglasses", "crown", "party hat", "eye patch")
ANIMAL_ACCESSORIES = (
    *("none",) * 4, "crown", "wide hat", "scarf", "hair bow", "top hat", "flower crown", "bow tie", "sunglasses",
)  # fmt: skip
EXPRESSIONS = ("smiling", "sad", "angry", "surprised", "calm", "laughing", "sleepy")
POSES = (
    "standing", "standing", "waving", "with arms raised", "with hands on hips", "pointing", "with arms stretched out",
    "thinking", "dancing", "sitting", "running", "jumping",
)  # fmt: skip
LEG_POSES = ("dancing", "sitting", "running", "jumping")  # the legs tell them: full body only
ANIMAL_POSES = ("standing", "standing", "walking", "sleeping")
VIEWS = ("front", "front", "front", "front", "front", "side", "back")
FRAMINGS = ("full body", "half body", "half body", "close-up")
SCENES = (
    "forest", "beach", "city", "mountains", "room", "desert", "meadow", "plain", "plain", "plain",
    "snow", "farm", "castle", "space", "underwater", "kitchen", "library", "harbour", "playground",
)  # fmt: skip
TIMELESS_SCENES = ("plain", "space", "underwater")  # day and night look the same
TIMES = ("day", "day", "sunset", "night")
STYLES = ("flat", "flat", "flat", "outline", "outline", "outline", "watercolor", "watercolor", "pixel", "sketch")
ANIMALS = (
    "cat", "dog", "bunny", "bear", "fox", "penguin",
    "owl", "frog", "pig", "lion", "elephant", "mouse", "sheep", "duck", "deer",
)  # fmt: skip
UPRIGHT_ANIMALS = ("penguin", "owl", "frog", "duck")  # neither walk on four legs nor curl up
ANIMAL_COLOURS = ("orange", "gray", "white", "brown", "black", "pink", "blue", "yellow", "green", "purple")
THINGS = (
    "apple", "ball", "cup", "car", "house", "star", "flower", "boat", "umbrella", "mushroom", "book", "balloon",
    "guitar", "lantern", "rocket", "cake", "clock", "teapot", "key", "snowman", "camera", "chair", "gift",
    "ice cream", "kite", "robot", "flag", "drum",
)  # fmt: skip
PROPS = (
    "balloon", "flower", "book", "cup", "apple", "guitar", "lantern", "ice cream", "gift", "flag", "ball", "key",
)  # fmt: skip
PROP_SHARE = 0.25  # of the people seen from the front
BACKDROPS = ("yellow", "pink", "teal", "gray", "white", "blue", "orange", "green")

# Traits that pretraining never draws. They exist for the example datasets, so that a LoRA has something to teach.
HELD_OUT = {
    "hair": ("fins",),
    "hair_colour": ("mint",),
    "emblem": ("bolt",),
    "accessory": ("party hat",),
    "noun": ("radio",),  # a product, on its own
    "prop": ("radio",),  # and carried
    "scene": ("tea garden",),
    "style": ("stained glass",),
    "garment_colour": ("tropical",),  # a colour scheme for people
    "colour": ("tropical",),  # and for animals and things
}
HELD_OUT_HAIR_COLOURS = {"mint": (70, 235, 200)}
# (main, accent): sleeves and legs, or bellies and trimmings, take the accent.
HELD_OUT_SCHEMES = {"tropical": ((236, 38, 140), (186, 226, 46))}

SQUARE = (128, 128)
# Width and height in pixels: sides are multiples of 16, areas about that of the square.
SIZES = (SQUARE, (96, 160), (160, 96), (112, 144), (144, 112))


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
    pose: str = "standing"  # of people and animals
    view: str = "front"
    framing: str = "half body"
    noun: str = "cat"  # which animal or thing
    colour: str = "orange"  # of the animal or thing
    prop: str = "none"  # what a person holds: drawn where they stand and are seen from the front
    prop_colour: str = "red"
    width: int = SQUARE[0]  # pixels
    height: int = SQUARE[1]

    @property
    def is_person(self) -> bool:
        return self.kind in ("girl", "boy")

    @property
    def is_gray(self) -> bool:
        """A pencil sketch shows no colours, so captions and recolouring must not name any."""
        return self.style == "sketch"


def main_and_accent(colour: str) -> tuple[tuple[int, int, int], tuple[int, int, int] | None]:
    """The paint of a colour or colour scheme by name; None where everything takes the main colour."""
    return HELD_OUT_SCHEMES[colour] if colour in HELD_OUT_SCHEMES else (COLOURS[colour], None)


def random_size(rng: random.Random) -> tuple[int, int]:
    """(width, height): a square two times in five, the other shapes equally often."""
    return SQUARE if rng.random() < 0.4 else rng.choice(SIZES[1:])


def random_picture(rng: random.Random, size: tuple[int, int] = SQUARE) -> Picture:
    """Draw attributes at random, people most often, never a held-out trait. `size`: (width, height) in pixels."""
    pick = rng.choice
    kind = pick(("girl", "boy")) if (u := rng.random()) < 0.66 else ("animal" if u < 0.84 else "thing")
    scene = pick(SCENES)
    base = Picture(
        kind=kind,
        style=pick(STYLES),
        scene=scene,
        time="day" if scene in TIMELESS_SCENES else pick(TIMES),
        backdrop=pick(BACKDROPS),
        width=size[0],
        height=size[1],
    )
    if kind == "animal":
        return _random_animal(base, rng)
    if kind == "thing":
        return replace(base, noun=pick(THINGS), colour=pick(GARMENT_COLOURS), framing="full body")
    return _random_person(base, rng)


def _random_animal(base: Picture, rng: random.Random) -> Picture:
    noun, colour = rng.choice(ANIMALS), rng.choice(ANIMAL_COLOURS)
    pose = "standing" if noun in UPRIGHT_ANIMALS else rng.choice(ANIMAL_POSES)
    return replace(
        base,
        noun=noun,
        colour=colour,
        accessory=rng.choice(ANIMAL_ACCESSORIES),
        accessory_colour=_other_colour(colour, rng),
        pose=pose,
        framing="full body" if pose != "standing" else rng.choice(("full body", "full body", "half body")),
    )


def _random_person(base: Picture, rng: random.Random) -> Picture:
    pick = rng.choice
    girl = base.kind == "girl"
    colour = pick(GARMENT_COLOURS)
    garment = pick([g for g in GARMENTS if girl or g not in GIRL_GARMENTS])
    view, accessory, pose = pick(VIEWS), pick(ACCESSORIES), pick(POSES)
    framing = "full body" if pose in LEG_POSES else pick(FRAMINGS)
    holds = view == "front" and framing != "close-up" and rng.random() < PROP_SHARE
    if view == "back" and accessory in FRONT_ACCESSORIES:
        accessory = "none"
    return replace(
        base,
        hair=pick([h for h in HAIRS if girl or h not in GIRL_HAIRS]),
        hair_colour=pick(tuple(HAIR_COLOURS)),
        skin=pick(tuple(SKINS)),
        garment=garment,
        garment_colour=colour,
        emblem=pick(EMBLEMS) if garment in EMBLEM_GARMENTS and view == "front" else "none",
        accessory=accessory,
        accessory_colour=_other_colour(colour, rng),
        expression=pick(EXPRESSIONS),
        pose="standing" if holds else pose,
        view=view,
        framing=framing,
        prop=pick(PROPS) if holds else "none",
        prop_colour=pick(GARMENT_COLOURS),
    )


def _other_colour(colour: str, rng: random.Random) -> str:
    """What is worn has another colour than what it is worn on, so that it shows."""
    return rng.choice([c for c in GARMENT_COLOURS if c != colour])


def can_hold(p: Picture) -> bool:
    """Whether what `p` holds would be seen."""
    return p.is_person and p.pose == "standing" and p.view == "front" and p.framing != "close-up"
