"""What the style promises: contrast in both themes, and nothing that breaks the page's policy."""

import re

import pytest

from likeness.web.pages import HERE, STATIC

STYLE = (STATIC / "style.css").read_text()
TOKENS = dict(re.findall(r"--([\w-]+): light-dark\((#\w+, #\w+)\)", STYLE))
SURFACES = ("bg", "surface", "sunken")
TEXT = 4.5  # WCAG 2.2 AA: text; 3 for what can be operated and for what says something without words
GRAPHIC = 3.0

PAIRS = (
    [(ink, on, TEXT) for ink in ("ink", "soft", "accent", "good", "warn", "bad") for on in SURFACES]
    + [
        ("on-accent", "accent", TEXT),
        ("bg", "ink", TEXT),
        ("accent", "accent-soft", TEXT),
        ("ink", "accent-soft", TEXT),
    ]
    + [(kind, f"{kind}-soft", TEXT) for kind in ("good", "warn", "bad")]
    + [("ink", f"{kind}-soft", TEXT) for kind in ("good", "warn", "bad")]
    + [("soft", "accent-soft", TEXT)]
    + [("edge", on, GRAPHIC) for on in ("bg", "surface")]
    + [("accent", on, GRAPHIC) for on in SURFACES]
    + [("accent", "line", GRAPHIC)]  # how far a bar is
)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_reckoned_as_wcag_does():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_apart(theme: int):
    def colour(name: str) -> str:
        return TOKENS[name].split(", ")[theme]

    weak = {
        f"{one} on {other}": round(contrast(colour(one), colour(other)), 2)
        for one, other, least in PAIRS
        if contrast(colour(one), colour(other)) < least
    }
    assert weak == {}


def test_colours_are_taken_from_the_tokens_alone():
    rules = STYLE.split("}", 1)[1] + (STATIC / "elements.css").read_text()
    used = set(re.findall(r"#[0-9a-fA-F]{3,8}\b", rules))
    # White and black over pictures, whatever the theme; shadows; and the accent on a white ring.
    assert used <= {"#fff", "#000", "#0003", "#0004", "#0005", "#0008", "#0009", "#000b", "#1a1b1c", "#0b666c"}


def test_every_variable_that_is_used_is_set():
    text = STYLE + (STATIC / "elements.css").read_text()
    templates = "".join(path.read_text() for path in (HERE / "templates").rglob("*.html"))
    scripts = "".join(path.read_text() for path in (STATIC / "elements").glob("*.js"))
    used = set(re.findall(r"var\(--([\w-]+)\)", text))
    known = set(re.findall(r"--([\w-]+)", re.sub(r"var\(--[\w-]+", "", text + templates + scripts)))
    assert used - known == set()


def test_icons_that_templates_name_are_drawn():
    drawn = set(re.findall(r'<symbol id="([\w-]+)"', (STATIC / "icons.svg").read_text()))
    for path in (HERE / "templates").rglob("*.html"):
        named = set(re.findall(r'ui\.icon\("([\w-]+)"', path.read_text()))
        assert named <= drawn, path.name


def test_templates_hold_no_script_of_their_own():
    """The policy forbids it, so it would be dead."""
    for path in (HERE / "templates").rglob("*.html"):
        text = re.sub(r"\{#.*?#\}", "", path.read_text(), flags=re.DOTALL)
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), path.name
        assert not re.search(r"\son[a-z]+=|hx-on|js:|javascript:", text), path.name
        assert not re.search(r"(src|href|action)=[\"']?https?://", text), f"{path.name} leads to another host"
