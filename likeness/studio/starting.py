"""Where to start in an empty workspace: example datasets that come with Likeness, put in by one click."""

from dataclasses import dataclass
from pathlib import Path

import likeness
from likeness.dataset.formats import is_picture
from likeness.errors import NotFound
from likeness.store.tables import Dataset
from likeness.studio.datasets import arrivals, rows
from likeness.studio.workspace import Studio


@dataclass(frozen=True)
class Shipped:
    """An example of a kind. `folder` is below `examples/`."""

    name: str
    kind: str
    trigger: str
    folder: str
    words: str  # what it is, for people


EXAMPLES = (
    Shipped(
        "mika", "character", "mika_char", "character/mika", "Twelve pictures of a drawn girl, each with its caption"
    ),
    Shipped("party-hat", "edit", "", "edit/party-hat", "Pairs of pictures: before, and with a party hat on"),
)
BASE = "starter"  # the small base that needs no download


def shipped() -> list[Shipped]:
    """Those whose pictures are here."""
    return [example for example in EXAMPLES if place(example).is_dir()]


def place(example: Shipped) -> Path:
    """Where its files lie: in the installed package, or in the checkout that it runs from."""
    package = Path(likeness.__file__).parent
    installed = package / "examples" / example.folder
    return installed if installed.is_dir() else package.parent / "examples" / example.folder


def pictures(example: Shipped) -> list[Path]:
    """In the order of their names; of an edit those after."""
    folder = place(example) / "after" if example.kind == "edit" else place(example)
    return sorted(path for path in folder.iterdir() if is_picture(path))


def put_in(studio: Studio, name: str) -> Dataset:
    """The example's dataset: made from its files, or the one that is there already. Raises NotFound."""
    example = next((example for example in shipped() if example.name == name), None)
    if example is None:
        raise NotFound(
            f"no example '{name[:40]}'. Fix: one of {', '.join(e.name for e in shipped()) or 'none is here'}"
        )
    try:
        return rows.get(studio, example.name)
    except NotFound:
        row = rows.create(studio, example.name, example.kind, example.trigger, BASE, example.words)
    try:
        arrivals.take_folder(studio, row.id, place(example))
    except BaseException:
        rows.erase(studio, row.id)
        raise
    return row
