"""Words on a picture: a typeface that has the letters, wrapped lines, an ellipsis where they run out."""

from collections.abc import Callable, Iterable
from functools import cache

from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont
Typeface = Callable[[int], Font]  # size in pixels -> font

# Pillow's own font knows English only. These are tried by name where a text needs more.
_WIDER = (
    "NotoSans-Regular.ttf", "DejaVuSans.ttf", "Arial.ttf", "LiberationSans-Regular.ttf", "NotoSansCJK-Regular.ttc",
    "Arial Unicode.ttf", "PingFang.ttc", "msyh.ttc", "meiryo.ttc", "malgun.ttf",
)  # fmt: skip


def find_typeface(texts: Iterable[str]) -> Typeface:
    """The first typeface that has every letter of the texts: Pillow's own, else one of the system, else Pillow's."""
    letters = {c for text in texts for c in text if not c.isspace()}
    return next((face for face in (_built_in, *map(_named, _WIDER)) if _has(face, letters)), _built_in)


def wrap(text: str, font: Font, width: float, max_lines: int) -> list[str]:
    """Break `text` into at most `max_lines` lines of at most `width` pixels; what is left over becomes '…'."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        candidate = f"{line} {word}" if line else word
        if font.getlength(candidate) <= width:
            line = candidate
            continue
        if line:
            lines.append(line)
        *full, line = _pieces(word, font, width)
        lines += full
    lines += [line] if line else []
    if len(lines) <= max_lines:
        return lines
    return [*lines[: max_lines - 1], _ellipsised(" ".join(lines[max_lines - 1 :]), font, width)]


def _pieces(word: str, font: Font, width: float) -> list[str]:
    """A word that is wider than a line is cut between letters."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and font.getlength(pieces[-1] + letter) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def _ellipsised(text: str, font: Font, width: float) -> str:
    while text and font.getlength(text.rstrip(" ,;.") + "…") > width:
        text = text[:-1]
    return text.rstrip(" ,;.") + "…"


@cache
def _built_in(size: int) -> Font:
    font = ImageFont.load_default(size)
    assert isinstance(font, Font), "Pillow was built without FreeType"
    return font


def _named(name: str) -> Typeface:
    @cache
    def load(size: int) -> Font:
        return ImageFont.truetype(name, size)

    return load


def _has(face: Typeface, letters: set[str]) -> bool:
    try:
        font = face(16)
    except OSError:  # not on this system
        return False

    def drawn(letter: str) -> tuple[tuple[int, int, int, int], bytes]:
        canvas = Image.new("L", (40, 40))
        ImageDraw.Draw(canvas).text((8, 8), letter, 255, font)
        return canvas.getbbox() or (0, 0, 0, 0), canvas.tobytes()

    missing = drawn("\uffff")  # never a letter: every font draws its empty box
    return all(drawn(letter) != missing for letter in letters)
