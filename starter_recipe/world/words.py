"""The words of the world: several for each attribute value, and none that stands for two values of one attribute.

The first of each is the plain one. `{c}` is where a colour goes; it is left out where a picture shows no colours.
"""

Words = dict[str, tuple[str, ...]]

STYLES: Words = {
    "flat": ("flat style", "flat vector style", "flat colors"),
    "outline": ("outline style", "ink outline style", "bold outlines"),
    "pixel": ("pixel art", "pixel art style", "pixelated"),
    "watercolor": ("watercolor style", "watercolor painting", "watercolors"),
    "sketch": ("sketch style", "pencil sketch", "pencil drawing"),
    "stained glass": ("stained glass style", "stained glass window"),
}
STYLE_LEADS: Words = {
    "flat": ("a flat drawing of", "a flat vector picture of"),
    "outline": ("an outline drawing of", "an ink drawing of"),
    "pixel": ("pixel art of", "a pixel art picture of"),
    "watercolor": ("a watercolor of", "a watercolor painting of"),
    "sketch": ("a sketch of", "a pencil sketch of"),
    "stained glass": ("a stained glass window of",),
}
SCENES: Words = {
    "forest": ("in a forest", "in the woods", "among the trees"),
    "beach": ("on a beach", "by the sea", "on the sand"),
    "city": ("in a city", "on a city street", "downtown"),
    "mountains": ("in the mountains", "among snowy peaks"),
    "room": ("in a room", "at home"),
    "desert": ("in a desert", "among cacti"),
    "meadow": ("in a meadow", "in a field of flowers"),
    "snow": ("in the snow", "in a snowy landscape"),
    "farm": ("on a farm", "by a red barn"),
    "castle": ("in front of a castle", "at a castle"),
    "space": ("in outer space", "on the moon"),
    "underwater": ("underwater", "under the sea"),
    "kitchen": ("in a kitchen", "in the kitchen"),
    "library": ("in a library", "among bookshelves"),
    "harbour": ("at a harbour", "on a pier"),
    "playground": ("on a playground", "at the playground"),
    "tea garden": ("in a tea garden",),
}
SCENE_TAGS: Words = {name: ("outer space" if name == "space" else name,) for name in SCENES}
TIMES: Words = {
    "day": ("by day", "during the day"),
    "sunset": ("at sunset", "at dusk"),
    "night": ("at night", "after dark"),
}
BACKDROPS = ("on a plain {c} background", "against a {c} backdrop", "plain {c} background")
KINDS: Words = {"girl": ("girl", "young girl", "little girl"), "boy": ("boy", "young boy", "little boy")}
HAIR_COLOURS: Words = {"blonde": ("blonde", "blond", "golden")}  # the others have one word each
HAIRS: Words = {
    "short": ("short {c} hair", "{c} hair cut short"),
    "long": ("long {c} hair", "long straight {c} hair"),
    "bob": ("bob {c} hair", "{c} bob hair", "a {c} bob"),
    "curly": ("curly {c} hair", "{c} curls"),
    "spiky": ("spiky {c} hair", "{c} hair in spikes"),
    "ponytail": ("a {c} ponytail", "{c} hair in a ponytail"),
    "twin tails": ("{c} twin tails", "{c} pigtails"),
    "bun": ("{c} hair in a bun", "a {c} bun"),
    "afro": ("a {c} afro", "afro {c} hair"),
    "mohawk": ("a {c} mohawk",),
    "space buns": ("{c} space buns", "{c} hair in two buns"),
    "braids": ("{c} braids", "braided {c} hair"),
    "wavy": ("wavy {c} hair", "long wavy {c} hair"),
    "bowl cut": ("a {c} bowl cut",),
    "quiff": ("a {c} quiff", "{c} hair in a quiff"),
    "dreadlocks": ("{c} dreadlocks", "{c} dreads"),
    "fins": ("fins {c} hair",),
}
SKINS: Words = {
    "light": ("light skin", "fair skin"),
    "tan": ("tan skin",),
    "brown": ("brown skin",),
    "dark": ("dark skin",),
}
GARMENTS: Words = {
    "t-shirt": ("t-shirt", "tee"),
    "hoodie": ("hoodie", "hooded sweatshirt"),
    "dress": ("dress", "frock"),
    "overalls": ("overalls", "dungarees"),
    "coat": ("coat", "overcoat"),
    "sweater": ("sweater", "jumper", "pullover"),
    "tank top": ("tank top", "sleeveless top"),
    "jacket": ("jacket", "open jacket"),
    "suit": ("suit", "suit and tie"),
    "skirt": ("skirt", "pleated skirt"),
    "kimono": ("kimono",),
    "poncho": ("poncho",),
    "apron": ("apron",),
}
EMBLEMS: Words = {
    "heart": ("with a heart on it", "with a heart print"),
    "star": ("with a star on it", "with a star print"),
    "dot": ("with a dot on it", "with a dot print"),
    "stripes": ("with stripes", "with wide stripes"),
    "moon": ("with a moon on it", "with a moon print"),
    "flower": ("with a flower on it", "with a flower print"),
    "diamond": ("with a diamond on it", "with a diamond print"),
    "bolt": ("with a lightning bolt on it",),
}
ACCESSORIES: Words = {
    "glasses": ("glasses", "round glasses"),
    "sunglasses": ("sunglasses", "dark glasses"),
    "wide hat": ("wide hat", "sun hat"),
    "cap": ("cap", "baseball cap"),
    "crown": ("crown", "golden crown"),
    "headphones": ("headphones",),
    "hair bow": ("hair bow", "ribbon"),
    "scarf": ("scarf", "woollen scarf"),
    "beanie": ("beanie", "knit cap"),
    "top hat": ("top hat", "tall hat"),
    "witch hat": ("witch hat", "pointed hat"),
    "flower crown": ("flower crown", "wreath"),
    "cat ears": ("cat ears",),
    "bow tie": ("bow tie",),
    "eye patch": ("eye patch",),
    "backpack": ("backpack", "rucksack"),
    "cape": ("cape", "cloak"),
    "wings": ("wings", "butterfly wings"),
    "party hat": ("party hat",),
}
PLURALS = (
    "overalls", "dungarees", "glasses", "round glasses", "sunglasses", "dark glasses", "headphones", "cat ears",
    "wings", "butterfly wings",
)  # fmt: skip
EXPRESSIONS: Words = {
    "smiling": ("smiling", "happy"),
    "sad": ("sad", "unhappy"),
    "angry": ("angry", "furious"),
    "surprised": ("surprised", "astonished"),
    "calm": ("calm", "relaxed"),
    "laughing": ("laughing", "bursting with laughter"),
    "sleepy": ("sleepy", "tired"),
}
POSES: Words = {
    "waving": ("waving", "waving hello"),
    "with arms raised": ("with arms raised", "with both arms up"),
    "with hands on hips": ("with hands on hips", "hands on the hips"),
    "pointing": ("pointing", "pointing to the side"),
    "with arms stretched out": ("with arms stretched out", "with arms wide"),
    "thinking": ("thinking", "with a hand on the chin"),
    "dancing": ("dancing", "doing a dance"),
    "sitting": ("sitting", "sitting on the ground"),
    "running": ("running", "on the run"),
    "jumping": ("jumping", "in mid-air"),
    "walking": ("walking", "on a walk"),
    "sleeping": ("sleeping", "asleep"),
}
VIEWS: Words = {"side": ("side view", "from the side"), "back": ("back view", "from behind")}
FRAMINGS: Words = {
    "full body": ("full body", "full length"),
    "half body": ("half body", "waist up"),
    "close-up": ("close-up", "close portrait"),
}
# Animals and things with more than one name; the others go by their own.
NOUNS: Words = {
    "cat": ("cat", "kitty"),
    "dog": ("dog", "puppy"),
    "bunny": ("bunny", "rabbit"),
    "cup": ("cup", "mug"),
    "boat": ("boat", "sailboat"),
    "clock": ("clock", "alarm clock"),
    "gift": ("gift", "present"),
}
HOLDING = ("holding {}", "carrying {}", "with {} in hand")
