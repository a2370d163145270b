"""Words by which captions are judged. English: captions in other languages pass."""

import re

_STYLE = (
    r"(?:water ?colou?r|oil|acrylic|gouache|ink|digital) painting",
    r"watercolou?r",
    r"(?:pixel|vector|line|concept|digital|fan|pop|clip) art",
    r"(?:painting|illustration|drawing|sketch|artwork|render(?:ing)?|cartoon|photo(?:graph)?) of",
    r"anime|manga|cartoonish|comic[- ]book|cel[- ]shad(?:ed|ing)|claymation",
    r"impressionis[mt]ic|impressionis[mt]|cubis[mt]|surrealis[mt]|art (?:deco|nouveau)|ukiyo-?e|stained[- ]glass",
    r"(?:pencil|charcoal|ink) (?:sketch|drawing)|(?:3d|octane|unreal) render(?:ing)?|low[- ]poly|halftone",
    r"photo-?realis(?:m|tic)|hyper-?realis(?:m|tic)|film grain|bokeh",
    r"in the style of|\w+ style",
)
STYLE_WORDS = re.compile(rf"\b(?:{'|'.join(_STYLE)})\b", re.IGNORECASE)

_EDIT_VERBS = """
    add adjust alter animate apply blend blur brighten bring change clean clear color colorise colorize colour convert
    correct create crop cut darken delete draw dress drop dye edit enhance enlarge erase extend extract fill fix flip
    generate give have illuminate improve insert invert keep let lighten light lower make match mirror mix move narrow
    open outpaint paint place pose preserve pull put raise reduce redraw reframe relight remove render repaint replace
    reshape resize restore restyle retouch return reverse rotate scale set sharpen shift show shrink simplify smooth
    stylise stylize swap switch take tilt tint transfer transform translate trim turn undo use warm wear widen wrap
    write zoom
"""
SAYS_A_CHANGE = re.compile(
    rf"(?:^|[,.;:]\s*|\b(?:and|then|to|please)\s+)(?:{'|'.join(_EDIT_VERBS.split())})\b"
    r"|\b(?:now|without|instead|into|no longer)\b",
    re.IGNORECASE,
)
_START = r"^[\s,.\"'(]*"
DESCRIBES = re.compile(
    rf"{_START}(?:(?:an?|the|this|that|these|there|he|she|it|they|his|her|two|three|some|one)"
    r"|(?:photo(?:graph)?|picture|image|portrait|painting|drawing|close-?up|view|scene|shot))\s",
    re.IGNORECASE,
)
COMMANDS = re.compile(
    rf"{_START}(?:please\s+)?(?:add|apply|change|convert|delete|erase|give|insert|make|put|recolou?r|redraw|remove|replace"
    r"|restyle|swap|transform|turn)\s(?:an?|the|it|this|him|her|them|his|all|everything|on|off|away|out)\b",
    re.IGNORECASE,
)

_PEOPLE = r"(?:people|persons|men|women|girls|boys|kids|children|friends|characters|figures)"
_PERSON = r"(?:man|woman|girl|boy|person|friends?|sister|brother|mother|father|character)"
_MANY = r"(?:two|three|four|five|several|many|multiple|both|[2-9]|a (?:group|crowd|pair|bunch) of)"
SEVERAL_PEOPLE = re.compile(
    rf"\b(?:{_MANY} (?:\w+ ){{0,2}}?{_PEOPLE}|(?:[2-9]|multiple |6\+)(?:girls|boys|others)"
    rf"|(?:with|and|beside|next to) (?:an?other|his|her|their) {_PERSON})\b",
    re.IGNORECASE,
)

_NOUNS = """
    man woman men women girl boy person people child kid baby guy lady dog cat animal bird horse car house place room
    forest city object product thing toy style art painting drawing photo picture image character face portrait
    landscape
"""
ORDINARY_NOUNS = frozenset(_NOUNS.split())
