"""Engines behind one protocol: each learns a speaker into a folder, and speaks with what lies there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np

from likeness.config.voice import REFERENCE
from likeness.errors import InputError
from likeness.voices import differential
from likeness.voices.audio import Clip, read_clip
from likeness.voices.filters import Floats

FIT = "fit.npz"


@dataclass(frozen=True)
class Manner:
    """How something is to be said. `speed`: 1 is the speaker's own; `strength`: 0 is the engine's own voice, 1 the
    speaker. Engines leave out what they cannot do, and say so."""

    seed: int = 0
    speed: float = 1.0
    strength: float = 1.0


class Engine(Protocol):
    """`notes`: what of the manner is ignored."""

    def learn(self, reference: Clip, folder: Path) -> dict[str, Any]:
        """Put what is needed to speak into `folder`, beside the reference; returns plain values for the record."""
        ...

    def say(self, text: str, folder: Path, values: Mapping[str, Any], manner: Manner) -> Clip: ...

    def notes(self, manner: Manner) -> list[str]: ...

    def close(self) -> None:
        """End what was started for it."""
        ...


@dataclass(frozen=True)
class Request:
    """What an engine is opened with: those that need weights or a script are given them."""

    language: str = "en-us"
    base: str | None = None
    script: str | None = None
    device: str = "auto"


def open_engine(name: str, request: Request) -> Engine:
    """Raises InputError where there is no such engine, or it lacks something."""
    makers: dict[str, Callable[[Request], Engine]] = {"espeak": Espeak, "pocket": _pocket, "script": _script}
    if name not in makers:
        raise InputError(f"--engine: there is no '{name}'. Fix: one of {', '.join(makers)}")
    return makers[name](request)


class Espeak:
    """espeak-ng with a filter; see `voices.differential`."""

    def __init__(self, request: Request):
        self.language = request.language

    def learn(self, reference: Clip, folder: Path) -> dict[str, Any]:
        arrays, values = differential.fit(reference.at(differential.RATE), self.language).pack()
        with (folder / FIT).open("wb") as f:
            np.savez(f, **arrays)  # pyright: ignore[reportArgumentType]
        return values

    def say(self, text: str, folder: Path, values: Mapping[str, Any], manner: Manner) -> Clip:
        try:
            with np.load(folder / FIT, allow_pickle=False) as stored:
                arrays: dict[str, Floats] = {name: stored[name] for name in stored.files}
            fitted = differential.unpack(arrays, values)
        except (OSError, ValueError, KeyError, TypeError, BadZipFile) as e:
            raise InputError(f"{folder / FIT}: cannot be read ({e}). Fix: make the voice again") from e
        return Clip(fitted.say(text, manner.strength, manner.speed), differential.RATE)

    def notes(self, manner: Manner) -> list[str]:
        return []

    def close(self) -> None:
        pass


def _pocket(request: Request) -> Engine:
    if request.base is None:
        raise InputError("--base: Pocket TTS needs its weights. Fix: --base eustlb/pocket-tts, or a folder with them")
    from likeness.voices.pocket_engine import PocketEngine  # torch: not for the default engine

    return PocketEngine(request.base, request.device)


def _script(request: Request) -> Engine:
    if request.script is None:
        raise InputError("--script: which script? Fix: give the path of one that speaks the protocol")
    from likeness.voices.script_engine import ScriptEngine

    return ScriptEngine(Path(request.script))


def read_reference(folder: Path) -> Clip:
    """The recording that lies in a voice's folder."""
    return read_clip(folder / REFERENCE)
