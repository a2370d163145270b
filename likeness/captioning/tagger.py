"""WD14 taggers: ONNX files that say of each tag in a table how certain they see it."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likeness.captioning.folders import folder_of
from likeness.captioning.protocol import Abilities, Answer, Ask, CaptionFailed, Tell
from likeness.config.caption import CaptionConfig, TaggerConfig
from likeness.errors import InputError

MODEL, TABLE = "model.onnx", "selected_tags.csv"
GENERAL, CHARACTER, RATING = "0", "4", "9"  # categories in the table
# Tags that are faces, and mean something else without their underscores.
_FACES = {
    "0_0", "(o)_(o)", "+_+", "+_-", "._.", "<o>_<o>", "<|>_<|>", "=_=", ">_<", "3_3", "6_9", ">_o", "@_@", "^_^", "o_o",
    "u_u", "x_x", "|_|", "||_||",
}  # fmt: skip

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # (B, H, W, 3) -> (B, tags), certainties from 0 to 1


@dataclass(frozen=True)
class Tag:
    name: str
    category: str


class Tagger:
    """A network that sees tags, with its table. `side`: that of the squares it looks at, in pixels."""

    def __init__(self, model: str, run: Run, side: int, tags: Sequence[Tag], settings: TaggerConfig, at_once: int):
        self.model = model
        self.abilities = Abilities(takes_prompts=False, sees_pairs=False, at_once=at_once, tags=True)
        self._run, self._side, self._tags, self._settings = run, side, tags, settings
        self._excluded = {spaced(name).lower() for name in settings.exclude_tags}

    def stop(self) -> None:
        """A batch takes a moment, and is waited for."""

    def answer(self, asks: Sequence[Ask]) -> list[Answer | CaptionFailed]:
        certainties = self._run(np.stack([squared(ask.pictures[-1], self._side) for ask in asks]))
        return [self._told(row) for row in certainties]

    def _told(self, row: NDArray[np.float32]) -> Answer | CaptionFailed:
        """Characters first, then what else is seen, the surest first; the rating, where wanted, at the end."""
        order = np.argsort(-row, kind="stable").tolist()
        found: dict[str, list[str]] = {CHARACTER: [], GENERAL: [], RATING: []}
        least = {GENERAL: self._settings.general_threshold, CHARACTER: self._settings.character_threshold}
        for index in order:
            tag = self._tags[index]
            if tag.category in least and row[index] >= least[tag.category]:
                found[tag.category].append(tag.name)
            elif tag.category == RATING and self._settings.rating_tags and not found[RATING]:
                found[RATING].append(tag.name)
        names = [n for group in (CHARACTER, GENERAL, RATING) for n in found[group]]
        kept = [n for n in names if spaced(n).lower() not in self._excluded]
        if not kept:
            return CaptionFailed("empty", "no tag is certain enough. Fix: a lower --general-threshold")
        return Answer(", ".join(n if self._settings.underscores else spaced(n) for n in kept))


def spaced(name: str) -> str:
    """'long_hair' as 'long hair'; faces such as '^_^' as they are."""
    return name if name in _FACES else name.replace("_", " ")


def squared(picture: Image.Image, side: int) -> NDArray[np.float32]:
    """(H, W, 3) in blue, green, red from 0 to 255, as these taggers were trained: padded to a square with white."""
    longest = max(picture.size)
    square = Image.new("RGB", (longest, longest), "white")
    square.paste(picture.convert("RGB"), ((longest - picture.width) // 2, (longest - picture.height) // 2))
    pixels = np.asarray(square.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float32)
    return np.ascontiguousarray(pixels[:, :, ::-1])


def read_table(file: Path) -> list[Tag]:
    """The tags in the order of the network's answers. Raises InputError where the file is none of these tables."""
    try:
        with file.open(newline="", encoding="utf-8") as f:
            tags = [Tag(row["name"], row["category"]) for row in csv.DictReader(f)]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as e:
        raise InputError(f"--model: {file} is no table of tags ({e}). Fix: fetch it again") from e
    if not tags:
        raise InputError(f"--model: {file} holds no tags. Fix: fetch it again")
    return tags


def open_tagger(settings: CaptionConfig, tagger: TaggerConfig, tell: Tell) -> Tagger:
    """The tagger that the settings name. Raises InputError where it, or what runs it, is not there."""
    if not settings.model:
        raise InputError(
            "--model: name a tagger. Fix: --model FOLDER with model.onnx and selected_tags.csv, or a repository such "
            "as SmilingWolf/wd-vit-tagger-v3"
        )

    def whole(folder: Path) -> bool:
        return (folder / MODEL).is_file() and (folder / TABLE).is_file()

    folder = folder_of(settings.model, (MODEL, TABLE), whole, tell)
    if not whole(folder):
        raise InputError(f"--model: {folder} lacks {MODEL} or {TABLE}. Fix: name the folder of a WD14 tagger")
    tell("loading", 0, 0)
    tags = read_table(folder / TABLE)
    run, side, count = _session(folder / MODEL, settings.device)
    if count is not None and count != len(tags):
        raise InputError(f"--model: {folder / MODEL} knows {count} tags and {TABLE} {len(tags)}. Fix: fetch both again")
    return Tagger(settings.model, run, side, tags, tagger, settings.parallel or 8)


def _session(file: Path, device: str) -> tuple[Run, int, int | None]:
    """What runs the file, the side of the squares that it takes, and how many tags it knows."""
    try:
        import onnxruntime
    except ImportError as e:
        raise InputError("--engine: taggers need onnxruntime. Fix: pip install 'likeness[tagger]'") from e
    runtime: Any = onnxruntime
    offered: list[str] = runtime.get_available_providers()
    wanted = ["CPUExecutionProvider"] if device == "cpu" else ["CUDAExecutionProvider", "CPUExecutionProvider"]
    if device.startswith("cuda") and wanted[0] not in offered:
        raise InputError("--device: this onnxruntime has no CUDA. Fix: pip install onnxruntime-gpu, or --device cpu")
    try:
        session = runtime.InferenceSession(str(file), providers=[p for p in wanted if p in offered])
        entry, answer = session.get_inputs()[0], session.get_outputs()[0]
    except Exception as e:  # its errors have no base of their own
        raise InputError(f"--model: {file} cannot be loaded ({' '.join(str(e).split())[:200]}). Fix: fetch it again") \
            from e  # fmt: skip
    if len(entry.shape) != 4 or entry.shape[3] != 3 or not isinstance(entry.shape[1], int):
        raise InputError(f"--model: {file} takes {entry.shape}, no pictures as WD14 taggers do. Fix: name such a one")
    count = answer.shape[-1] if isinstance(answer.shape[-1], int) else None
    fixed = entry.shape[0] == 1  # some files take one picture at a time

    def run(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = [pictures[i : i + 1] for i in range(len(pictures))] if fixed else [pictures]
        return np.concatenate([session.run([answer.name], {entry.name: part})[0] for part in parts])

    return run, int(entry.shape[1]), count
