"""espeak-ng through its shared library, which the package espeakng-loader brings. It is under the GPL-3, and loaded only
where speech is asked of it. One process has one espeak-ng: calls must not overlap."""

import ctypes
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from likeness.errors import InputError
from likeness.voices.audio import need_voice_extra
from likeness.voices.filters import Floats

_SYNCHRONOUS, _STAY = 2, 0x8000  # output mode; option: do not end the process where the data is missing
_RATE, _PITCH, _RANGE = 1, 3, 4  # numbers of its parameters
_UTF8 = 1
_LONGEST_PATH = 140  # it keeps its own path in 160 bytes

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class _Voice(ctypes.Structure):
    _fields_ = (  # pyright: ignore[reportAssignmentType, reportIncompatibleVariableOverride]
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),  # a byte of priority, then the code
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class Espeak:
    """Speaks text at `rate` Hz."""

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError as e:
            raise need_voice_extra("espeakng-loader") from e
        loader: Any = espeakng_loader
        self._library = ctypes.CDLL(str(loader.get_library_path()))
        self._library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        data = _short(Path(str(loader.get_data_path())))
        self.rate: int = self._library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), _STAY)
        if self.rate <= 0:
            raise InputError("espeak-ng does not find its data. Fix: pip install --force-reinstall espeakng-loader")
        self._heard: list[Floats] = []
        self._callback = _Callback(self._take)  # kept: the library has only its address
        self._library.espeak_SetSynthCallback(self._callback)

    def _take(self, wav: Any, count: int, events: int | None) -> int:
        if count > 0 and wav:
            self._heard.append(np.ctypeslib.as_array(wav, (count,)).astype(np.float64) / 32768)
        return 0

    def languages(self) -> list[str]:
        """Codes such as 'en-us', in order."""
        found: set[str] = set()
        voices = self._library.espeak_ListVoices(None)
        for voice in voices:
            if not voice:
                break
            found.add((voice.contents.languages or b" ")[1:].decode(errors="replace"))
        return sorted(found - {"", "variant"})

    def choose(self, voice: str) -> None:
        """A language, or one with a variant such as 'en-us+f2'. Raises InputError where there is none of that name."""
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            known = ", ".join(self.languages())
            raise InputError(f"--language: espeak-ng has no '{voice.partition('+')[0]}'. Fix: one of {known}")

    def say(self, text: str, rate: int = 165, pitch: int = 50, range_: int = 50) -> Floats:
        """Mono samples; `rate` in words per minute, `pitch` and `range_` from 0 to 99 as espeak-ng counts them."""
        self._heard.clear()
        for number, value in ((_RATE, rate), (_PITCH, pitch), (_RANGE, range_)):
            self._library.espeak_SetParameter(number, int(value), 0)
        data = text.replace("\0", " ").encode()
        self._library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, 1, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        return np.concatenate(self._heard) if self._heard else np.zeros(0)


def _short(folder: Path) -> Path:
    """The folder itself, or a link to it from a place with a short name."""
    if len(str(folder)) <= _LONGEST_PATH:
        return folder
    link = Path(tempfile.mkdtemp(prefix="espeak-")) / folder.name
    link.symlink_to(folder)
    return link


@cache
def espeak() -> Espeak:
    """The process's one."""
    return Espeak()
