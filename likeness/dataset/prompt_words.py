"""What test prompts are made of, by what is learned: English words, and how to see that captions have them already.

A value is (words for the prompt, pattern that finds it in captions). The most ordinary come first.
"""

from typing import NamedTuple


class Value(NamedTuple):
    words: str
    seen_by: str  # regular expression


def _values(*pairs: tuple[str, str]) -> tuple[Value, ...]:
    return tuple(Value(words, rf"\b(?:{pattern})\b") for words, pattern in pairs)


POSES = _values(
    ("standing", r"stand(?:s|ing)?"),
    ("waving", r"wav(?:es?|ing)"),
    ("with arms raised", r"(?:arms?|hands?) (?:raised|up|in the air)|raising"),
    ("with hands on hips", r"hands? on (?:\w+ )?hips?"),
    ("sitting on a chair", r"s(?:its?|itting|eated)"),
    ("running", r"run(?:s|ning)?|jog(?:s|ging)?"),
    ("seen from behind, looking back", r"behind|back view|over (?:the|her|his|their) shoulder"),
    ("jumping in the air", r"jump(?:s|ing)?|leap(?:s|ing)?"),
    ("lying down", r"l(?:ies|ying)|reclin(?:es|ing)"),
    ("with arms crossed", r"(?:arms?) (?:crossed|folded)|cross(?:ed|ing) (?:\w+ )?arms"),
    ("reading a book", r"read(?:s|ing)?"),
    ("dancing", r"danc(?:es?|ing)"),
    ("kneeling", r"kneel(?:s|ing)?|crouch(?:es|ing)?"),
    ("riding a bicycle", r"rid(?:es?|ing)|bicycle|bike"),
    ("cooking", r"cook(?:s|ing)?"),
)
SUBJECTS = _values(
    ("a lighthouse", r"lighthouse"),
    ("a cat", r"cats?"),
    ("an old man playing chess", r"old man|chess"),
    ("a sailing boat", r"boats?|ships?"),
    ("a bowl of fruit", r"fruits?|apples?"),
    ("a woman with an umbrella", r"wom[ae]n|umbrella"),
    ("a robot", r"robots?"),
    ("an old train", r"stations?|trains?"),
    ("a horse galloping", r"horses?"),
    ("a castle", r"castles?"),
)
USES = _values(
    ("held in a hand", r"h(?:eld|olding|ands?)"),
    ("beside a cup of coffee", r"coffee|cup"),
    ("lying on its side", r"on its side|lying"),
    ("being unpacked from a box", r"box|unpack\w*"),
    ("half hidden behind leaves", r"lea(?:f|ves)|plants?"),
    ("three of them in a row", r"three|row|several"),
    ("seen through wet glass", r"glass"),
)
SITUATIONS = _values(
    ("with a person walking through", r"person|people|man|woman|walk\w*"),
    ("empty, with a single chair", r"chair"),
    ("with a dog in the foreground", r"dogs?"),
    ("during a festival, with lanterns", r"festival|lanterns?"),
    ("with a bicycle leaning on the wall", r"bicycles?|bikes?"),
    ("under repair, with scaffolding", r"scaffold\w*|repair\w*"),
)
PLACES = _values(
    ("in a forest", r"forests?|woods?|trees?"),
    ("on a beach", r"beach|seaside|shore"),
    ("in a city", r"cit(?:y|ies)|streets?|urban|downtown"),
    ("in the mountains", r"mountains?|peaks?|alps"),
    ("in a desert", r"deserts?|dunes?"),
    ("in a room", r"rooms?|indoors?|interior|bedroom|living room"),
    ("in a meadow", r"meadows?|fields?|grass"),
    ("in a kitchen", r"kitchens?"),
    ("in a library", r"librar(?:y|ies)|bookshel(?:f|ves)"),
    ("in the snow", r"snow(?:y|ing)?|winter"),
    ("in a market", r"markets?|stalls?"),
    ("on a train", r"trains?"),
    ("underwater", r"underwater|reef"),
    ("on a rooftop", r"roof\w*"),
)
SURFACES = _values(
    ("on a wooden table", r"wood(?:en)?|tables?|desks?"),
    ("on a plain white background", r"white background|plain|studio|backdrop"),
    ("on wet rocks by the sea", r"rocks?|sea|beach|ocean"),
    ("on a marble kitchen counter", r"marble|kitchen|counter"),
    ("in the grass of a garden", r"grass|garden|lawn"),
    ("in a shop window at night", r"shop|window"),
    ("in the snow", r"snow\w*|ice"),
    ("on a car seat", r"car|seat"),
    ("on a stack of books", r"books?"),
)
LIGHTS = _values(
    ("by day", r"day(?:light|time)?|noon|sunny|sunshine"),
    ("at night", r"night|dark|moon\w*"),
    ("at sunset", r"sunset|dusk|golden hour|evening"),
    ("in the fog", r"fog(?:gy)?|mist\w*|haz[ey]\w*"),
    ("in the rain", r"rain(?:y|ing)?|wet|storm\w*"),
    ("in the snow", r"snow(?:y|ing)?|winter"),
    ("in autumn, with fallen leaves", r"autumn|fall(?:en)?"),
    ("under a stormy sky", r"storm\w*|thunder\w*"),
)
FRAMINGS = _values(
    ("half body", r"half[- ]body|waist[- ]up|upper body|medium shot"),
    ("close-up", r"close[- ]?ups?|portrait|headshot|face"),
    ("full body", r"full[- ]body|full[- ]length|whole body|head to toe"),
    ("side view", r"side view|profile|from the side"),
    ("back view", r"back view|from behind"),
    ("seen from above", r"from above|high angle|top[- ]down|overhead"),
    ("seen from below", r"from below|low angle"),
    ("wide shot, small in the frame", r"wide shot|distant|far away|small in"),
)
PRODUCT_FRAMINGS = _values(
    ("front view", r"front(?:al)?(?: view)?"),
    ("close-up of the details", r"close[- ]?ups?|macro|details?"),
    ("side view", r"side(?: view)?|profile"),
    ("seen from above, flat lay", r"from above|flat lay|top[- ]down|overhead"),
    ("three-quarter view", r"three[- ]quarter|angled?"),
    ("seen from below", r"from below|low angle"),
    ("wide shot, small in the frame", r"wide shot|distant|small in"),
)
VIEWS = _values(
    ("wide view", r"wide (?:view|shot|angle)|panorama"),
    ("close-up of a detail", r"close[- ]?ups?|details?|macro"),
    ("seen from above", r"from above|aerial|bird\W?s[- ]eye|drone|overhead"),
    ("seen from below, looking up", r"from below|looking up|low angle"),
    ("seen through a doorway", r"door\w*|window|archway"),
    ("reflected in a puddle", r"reflect\w*|puddle"),
)
ART = _values(
    ("pencil sketch", r"pencil|sketch\w*"),
    ("watercolor painting", r"water ?colou?r\w*"),
    ("oil painting", r"oil paint\w*"),
    ("black and white photograph", r"black and white|monochrome"),
)
INSTRUCTIONS = _values(  # for controls: edits that were not learned
    ("make it night", r"night"),
    ("make it a pencil sketch", r"pencil|sketch"),
    ("change the background to a beach", r"background|beach"),
)

# Words for the thing where nothing is known of it, and nouns that may say what it is.
SOME = {
    "character": "a person",
    "style": "a picture",
    "product": "an object",
    "environment": "a place",
}
NOUNS = {
    "character": "woman man girl boy lady guy child kid baby person dog cat puppy kitten horse bird bear fox bunny "
    "robot monster creature elf knight penguin rabbit",
    "product": "bottle shoe sneaker boot bag handbag backpack watch cup mug chair lamp phone camera car bike bicycle "
    "perfume can box jar toy headphones speaker jacket dress shirt hat ring necklace sofa table guitar knife pen book",
    "environment": "room kitchen street house building garden park forest village town city square cafe shop office "
    "bedroom studio bar library church castle station landscape valley lake beach temple hall",
    "style": "",
}
