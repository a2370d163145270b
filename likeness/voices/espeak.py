"""espeak-ng, which the package espeakng-loader brings: each sentence is spoken in a process of its own."""

import json
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from likeness.errors import InputError, RunFailed
from likeness.voices import espeak_process
from likeness.voices.audio import need_voice_extra
from likeness.voices.filters import Floats

_LONGEST_PATH = 140  # it keeps its own path in 160 bytes
_PATIENCE = 300  # seconds


def say(text: str, voice: str, rate: int = 165, pitch: int = 50, range_: int = 50) -> tuple[Floats, int]:
    """Mono samples and their rate in Hz; the same for the same arguments. `voice` is a language, or one with a variant
    such as 'en-us+f2'; `rate` is in words per minute, `pitch` and `range_` from 0 to 99 as espeak-ng counts them.

    Raises InputError where there is no such voice, or no espeak-ng.
    """
    order = {"text": text, "voice": voice, "rate": int(rate), "pitch": int(pitch), "range": int(range_)}
    command = [sys.executable, "-I", "-S", espeak_process.__file__, *_places()]
    try:
        done = subprocess.run(command, input=json.dumps(order).encode(), capture_output=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired as e:
        raise RunFailed(f"espeak-ng took more than {_PATIENCE} s. Fix: give a shorter text") from e
    if done.returncode == espeak_process.NO_VOICE:
        known = ", ".join(done.stderr.decode().split())
        raise InputError(f"--language: espeak-ng has no '{voice.partition('+')[0]}'. Fix: one of {known}")
    if done.returncode == espeak_process.NO_DATA:
        raise InputError("espeak-ng does not find its data. Fix: pip install --force-reinstall espeakng-loader")
    if done.returncode:
        raise RunFailed(f"espeak-ng ended with {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}")
    samples = np.frombuffer(done.stdout, np.int16, offset=4).astype(np.float64) / 32768
    return samples, int.from_bytes(done.stdout[:4], "little")


@cache
def _places() -> tuple[str, str]:
    """Of the library and of its data."""
    try:
        import espeakng_loader
    except ImportError as e:
        raise need_voice_extra("espeakng-loader") from e
    loader: Any = espeakng_loader
    return str(loader.get_library_path()), str(_short(Path(str(loader.get_data_path()))))


def _short(folder: Path) -> Path:
    """The folder itself, or a link to it from a place with a short name."""
    if len(str(folder)) <= _LONGEST_PATH:
        return folder
    link = Path(tempfile.mkdtemp(prefix="espeak-")) / folder.name
    link.symlink_to(folder)
    return link
