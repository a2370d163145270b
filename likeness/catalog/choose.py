"""A base with some of its parts replaced by the user's own files: checked before anything is loaded."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from likeness.catalog.card import Card
from likeness.catalog.cards import CARDS
from likeness.catalog.detect import Contents, contents, look_into
from likeness.catalog.header import PICKLES, SAFETENSORS, read_headers
from likeness.catalog.source import DENOISERS, PARTS, Choice
from likeness.errors import InputError


def with_parts(card: Card, choice: Choice) -> Card:
    """The Card with the parts that `choice` names in place of its own.

    Raises InputError, telling of every part that is missing, damaged, or of another model than the Card's.
    """
    problems: list[str] = []
    parts = dict(card.source.parts)
    for setting, given in choice.parts.items():
        try:
            parts[setting] = _part(card, setting, Path(given), choice)
        except InputError as e:
            problems += [f"model.{setting}: {problem}" for problem in e.problems]
    if choice.revision and (card.path is not None or card.repository is None):
        problems.append("model.revision: is for a base on the hub; this one is a folder. Fix: leave it out")
    if card.path is not None and not choice.allow_pickle:
        problems += [f"base: {problem}" for problem in _pickled(card.path, parts)]
    if problems:
        raise InputError(*problems)
    source = replace(
        card.source,
        parts=tuple(parts.items()),
        revision=card.source.revision or choice.revision,
        offline=choice.offline,
        allow_pickle=choice.allow_pickle,
    )
    return card if source == card.source else replace(card, source=source)


def _part(card: Card, setting: str, place: Path, choice: Choice) -> Path:
    """The file or folder of one part, known to hold that part of that model."""
    if not place.exists():
        raise InputError(f"nothing is at {place}. Fix: check the path")
    if setting == "text_encoder_2" and card.text_encoders < 2:
        raise InputError(f"{card.title} has a single text encoder. Fix: leave this setting out")
    names = DENOISERS if setting == "transformer" else (setting,)
    place = next((place / name for name in names if (place / name).is_dir()), place)  # of a whole model's folder
    if place.is_dir() and not (place / "config.json").is_file():
        raise InputError(
            f"{place} has no config.json, so it is no part in the diffusers layout. Fix: give the folder with "
            "config.json and the weights in it, or one .safetensors file"
        )
    if place.is_dir() and not choice.allow_pickle and (pickle := _only_pickles(place)):
        raise InputError(_no_pickle(pickle))
    found = look_into(place, allow_pickle=choice.allow_pickle)
    if setting == "transformer":
        if found.part not in ("transformer", "checkpoint") or not _same_model(card, found):
            raise InputError(f"{place} holds {found.words}, but base is {_described(card)}. Fix: change one of them")
    elif found.part not in (_bare(setting), "", "checkpoint"):  # '': names that no list here has, but loaders may
        raise InputError(f"{place} holds {found.words}. Fix: give a {_bare(setting).replace('_', ' ')}")
    return place


def _bare(setting: str) -> str:
    return setting.removesuffix("_2")


def _same_model(card: Card, found: Contents) -> bool:
    """Does a denoiser fit this base? Sizes are compared with the base's own files where they are at hand, else with
    those in the catalogue; of a repository that is not in it they are not known yet."""
    if card.family not in found.families:
        return False
    own = _own_denoiser(card)
    if own is not None:
        return {c.name for c in own.cards} == {c.name for c in found.cards}
    return card.name not in CARDS or any(fitting.tensors == card.tensors for fitting in found.cards)


def _own_denoiser(card: Card) -> Contents | None:
    for name in DENOISERS:
        if card.path is not None and (header := read_headers(card.path / name)):
            return contents(header)
    return None


def _described(card: Card) -> str:
    return f"{card.title} ({card.family})"


def _pickled(folder: Path, replaced: dict[str, Path]) -> Iterator[str]:
    """Problems with the parts of a model folder that are there as pickles alone."""
    for name in (*DENOISERS, *PARTS[1:]):
        taken = "transformer" if name in DENOISERS else name
        if taken not in replaced and (pickle := _only_pickles(folder / name)):
            yield _no_pickle(pickle)


def _only_pickles(folder: Path) -> Path | None:
    """A pickle of weights, where the folder has no safetensors."""
    files = [p for p in folder.glob("*") if p.is_file()] if folder.is_dir() else []
    if any(p.suffix == SAFETENSORS for p in files):
        return None
    return next((p for p in sorted(files) if p.suffix in PICKLES), None)


def _no_pickle(path: Path) -> str:
    return (
        f"{path} is a pickle, which can run code of its own when it is opened, and no .safetensors is beside it. Fix: "
        "take a copy of the model with .safetensors, or, if you trust where it comes from, set model.allow_pickle: true"
    )
