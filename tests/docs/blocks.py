"""The fenced blocks of a Markdown page, and what is to be done with each.

A comment right above a block marks it: `<!-- run -->` runs its commands as they stand, `<!-- run: small -->` on a tiny
base with little data, `<!-- file: NAME -->` saves it for the commands that follow, `<!-- from: PATH -->` says of which
file in the repository it is a part. In a `console` block lines that start with `$ ` are commands; the lines below one
must be in its output.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^>]*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    mark: str  # '', 'run', 'run: small', 'file: NAME' or 'from: PATH'
    language: str
    text: str
    place: str  # for messages: page and line

    def commands(self) -> Iterator[tuple[str, list[str]]]:
        """(command, lines that its output must hold)."""
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, *lines = part.splitlines()
            yield command, lines


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            m["mark"] or "",
            m["language"],
            m["text"],
            f"{page.relative_to(ROOT).as_posix()}:{text.count(chr(10), 0, m.start()) + 1}",
        )
        for m in _BLOCK.finditer(text)
    ]


def prose(page: Path) -> str:
    """The page without its blocks."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))
