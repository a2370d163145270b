"""Captions of detail crops, written before the training and kept in the run: going on must learn from the same ones."""

import gc
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from likeness.captioning.engine import Engine, Look, open_engine, with_trigger
from likeness.captioning.protocol import CaptionFailed
from likeness.config.caption import tile_settings
from likeness.config.crops import DetailCropsConfig
from likeness.dataset.formats import open_rgb
from likeness.dataset.geometry import Frame, place
from likeness.dataset.manifest import Example
from likeness.errors import InputError
from likeness.events import Stage

FILE_NAME = "tile-captions.jsonl"

_OPTION = re.compile(r"^--(model|endpoint)(?=:)")  # what the command `likeness dataset caption` calls it


def caption_tiles(
    folder: Path,
    examples: Sequence[Example],
    crops: DetailCropsConfig,
    seed: int,
    stopped: Callable[[], bool],
    device: str = "auto",
) -> Iterator[Stage | list[Example]]:
    """Caption the tiles that have none in the run's folder yet, telling the progress; the last thing yielded is all
    examples with the captions that there are.

    A tile whose captioning fails keeps the caption of its picture; the reason is in the file. Raises InputError where
    the captioner cannot be had, RunFailed when its server is gone.
    """
    wanted = [e for e in examples if is_captioned(e, crops, seed)]
    known = read_captions(folder / FILE_NAME)
    missing = {e.id: e for e in wanted if e.id not in known}
    if missing:
        yield Stage(name="loading")
        engine = _open(crops, device)
        yield Stage(name="captioning", done=0, total=len(missing))
        with (folder / FILE_NAME).open("a", encoding="utf-8") as f:
            for done, (key, result) in enumerate(engine.stream(missing, lambda k: look_at(missing[k]), stopped), 1):
                row = {"id": key, "caption": None, "failed": str(result)}
                if not isinstance(result, CaptionFailed):
                    row = {"id": key, "caption": with_trigger(result.text, missing[key].trigger)}
                f.write(json.dumps(row, ensure_ascii=False) + "\n")
                f.flush()
                known[key] = row["caption"]
                yield Stage(name="captioning", done=done, total=len(missing))
        del engine  # the base needs its memory
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    own = {e.id: text for e in wanted if (text := known.get(e.id))}
    yield [replace(e, caption=own[e.id], captions=()) if e.id in own else e for e in examples]


def _open(crops: DetailCropsConfig, device: str) -> Engine:
    """Raises InputError in the words of the settings file."""
    try:
        return open_engine(*tile_settings(crops, device=device))
    except InputError as e:
        raise InputError(*(_OPTION.sub(r"data.detail_crops.caption_\1", p, count=1) for p in e.problems)) from e


def is_captioned(e: Example, crops: DetailCropsConfig, seed: int) -> bool:
    """Whether a caption is to be written: for a share of the tiles, drawn by seed. An edit keeps its instruction."""
    if e.moves is None or e.references:
        return False
    return random.Random(f"{seed} caption of tile {e.id}").random() < crops.caption_probability


def look_at(tile: Example) -> Look:
    """A tile as it is trained, with the caption of its picture."""
    assert tile.side is not None
    picture = place(open_rgb(Path(tile.path)), Frame((tile.side, tile.side), tile.crop))
    return Look((picture,), tile.caption)


def read_captions(file: Path) -> dict[str, str | None]:
    """Captions by tile; None where it failed. A line that was cut short by a kill is left out, and cut off."""
    if not file.exists():
        return {}
    data = file.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        with file.open("r+b") as f:
            f.truncate(len(whole))
    try:
        rows: list[dict[str, Any]] = [json.loads(line) for line in whole.decode("utf-8").split("\n") if line]
        return {row["id"]: row["caption"] for row in rows}
    except (ValueError, KeyError, TypeError) as e:
        raise InputError(f"{file}: is damaged ({e}). Fix: start a new run with another name") from None
