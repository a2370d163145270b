"""Recordings read, and sound written: WAV, FLAC, Ogg and MP3, as libsndfile has them.

What cannot be used is told from the file's first bytes, before anything is decoded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness import durable
from likeness.errors import InputError
from likeness.voices.filters import Floats, resample

LONGEST = 15 * 60  # seconds; more than any clone needs, and little enough to hold in memory
RATES = (8_000, 192_000)  # Hz
MOST_CHANNELS = 8
FORMATS = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG", ".mp3": "MP3"}
RECORD_AGAIN = "record again as WAV, 24 kHz or more, or export it again from where it comes from"

# What files of other kinds begin with: (offset, bytes, what it is).
_STRANGERS = (
    (4, b"ftyp", "an MP4 container (video, or AAC sound)"),
    (0, b"\x1a\x45\xdf\xa3", "a Matroska or WebM container (video)"),
    (8, b"AVI ", "an AVI video"),
    (0, b"\x00\x00\x01\xba", "an MPEG video"),
    (0, b"\xff\xf1", "raw AAC sound"),
    (0, b"\xff\xf9", "raw AAC sound"),
    (0, b"0&\xb2u", "a Windows Media file"),
    (0, b"\x89PNG", "a picture"),
    (0, b"\xff\xd8\xff", "a picture"),
    (8, b"WEBP", "a picture"),
    (0, b"GIF8", "a picture"),
    (0, b"PK\x03\x04", "an archive or a document"),
    (0, b"%PDF", "a document"),
    (0, b"\x1f\x8b", "an archive"),
)
_OWN = ((0, b"RIFF", ".wav"), (0, b"RF64", ".wav"), (0, b"fLaC", ".flac"), (0, b"OggS", ".ogg"), (0, b"ID3", ".mp3"))
_MP3_SYNC = (0xFB, 0xFA, 0xF3, 0xF2, 0xE3, 0xE2)
_ALIASES = {".wave": ".wav", ".oga": ".ogg", ".opus": ".ogg"}


@dataclass(frozen=True)
class Clip:
    """Mono sound with values around -1 … 1, and what its file was like."""

    samples: Floats
    rate: int  # Hz
    channels: int = 1  # of the file
    encoding: str = ""  # 'PCM_16', 'ULAW' …
    name: str = ""

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def at(self, rate: int) -> Floats:
        """The samples at another rate."""
        return resample(self.samples, self.rate, rate)


def read_clip(path: Path) -> Clip:
    """A recording as mono. Raises InputError, with what to do, where the file cannot be used whole."""
    head, size = _head(path)
    _check_kind(path, head)
    if head.startswith(b"RIFF"):
        _check_riff(path, size)
    elif head.startswith(b"OggS"):
        _check_ogg(path, size)
    soundfile = _soundfile()
    try:
        with soundfile.SoundFile(path) as f:
            _check_shape(path, f.frames, f.samplerate, f.channels)
            encoding, rate, promised = str(f.subtype), int(f.samplerate), int(f.frames)
            data: NDArray[np.float64] = f.read(dtype="float64", always_2d=True)
    except soundfile.LibsndfileError as e:
        raise InputError(f"{path}: cannot be decoded ({_plain(e)}). Fix: {RECORD_AGAIN}") from e
    if not len(data):
        raise InputError(f"{path}: holds no sound (0 samples). Fix: {RECORD_AGAIN}")
    if len(data) < promised:
        raise _cut_short(path, len(data) / rate, promised / rate)
    if broken := int(np.count_nonzero(~np.isfinite(data))):
        raise InputError(f"{path}: {broken} samples are not numbers (NaN or infinite). Fix: {RECORD_AGAIN}")
    return Clip(_mono(data), rate, data.shape[1], encoding, path.name)


def write_sound(path: Path, samples: Floats, rate: int, tags: Mapping[str, str] | None = None) -> None:
    """Write mono sound, whole or not at all, in the format of the name's ending; 16 bits where the format has a choice.

    `tags`: title, comment, software and the like, written where the format keeps them. Raises InputError for an ending
    that is not known.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path}: no known kind of sound file. Fix: give a name that ends in {', '.join(FORMATS)}")
    soundfile = _soundfile()
    subtype = {"WAV": "PCM_16", "FLAC": "PCM_16", "OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}[kind]

    def write(partial: Path) -> None:
        with soundfile.SoundFile(partial, "w", rate, 1, subtype, format=kind) as f:
            for name, text in (tags or {}).items():
                setattr(f, name, text)
            f.write(np.clip(samples, -1, 1))

    durable.write_with(path, write)


def read_tags(path: Path) -> dict[str, str]:
    """Title, comment, software and what else a file says of itself. Raises InputError as `read_clip` does."""
    head, _ = _head(path)
    _check_kind(path, head)
    soundfile = _soundfile()
    try:
        with soundfile.SoundFile(path) as f:
            return {str(k): str(v) for k, v in f.copy_metadata().items()}
    except soundfile.LibsndfileError as e:
        raise InputError(f"{path}: cannot be decoded ({_plain(e)}). Fix: {RECORD_AGAIN}") from e


def need_voice_extra(package: str) -> InputError:
    """What to say where a package of the extra is missing."""
    return InputError(f"voices need the package {package}. Fix: pip install 'likeness[voice]'")


def _soundfile() -> Any:
    try:
        import soundfile
    except (ImportError, OSError) as e:  # OSError: its libsndfile does not load
        raise need_voice_extra("soundfile") from e
    module: ModuleType = soundfile
    return module


def _head(path: Path) -> tuple[bytes, int]:
    """The first bytes and the size."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder. Fix: give one recording")
    try:
        with path.open("rb") as f:
            head = f.read(64)
        size = path.stat().st_size
    except FileNotFoundError as e:
        raise InputError(f"{path}: no such file. Fix: give the path of a recording") from e
    except OSError as e:
        raise InputError(f"{path}: cannot be read ({e.strerror}). Fix: check its permissions") from e
    if not size:
        raise InputError(f"{path}: is empty (0 bytes). Fix: {RECORD_AGAIN}")
    return head, size


def _check_kind(path: Path, head: bytes) -> None:
    """Raises InputError for what is no sound, or is named as what it is not."""
    out = f"take the sound out of it, for example: ffmpeg -i '{path.name}' -vn -ar 48000 '{path.stem}.wav'"
    for offset, magic, what in _STRANGERS:
        if head[offset:].startswith(magic):
            fix = out if any(word in what for word in ("video", "sound", "Media")) else "give a recording"
            raise InputError(f"{path}: is {what}. Fix: {fix}")
    found = next((ending for offset, magic, ending in _OWN if head[offset:].startswith(magic)), None)
    if found is None and len(head) > 1 and head[0] == 0xFF and head[1] in _MP3_SYNC:
        found = ".mp3"
    if found is None:
        known = ", ".join(FORMATS)
        raise InputError(f"{path}: is no sound file by its content. Fix: give a recording ({known})")
    ending = path.suffix.lower()
    if _ALIASES.get(ending, ending) != found:
        named = f"is named {path.suffix}" if path.suffix else "its name has no ending"
        raise InputError(f"{path}: holds {FORMATS[found]} sound, and {named}. Fix: rename it to {path.stem}{found}")


def _check_shape(path: Path, count: int, rate: int, channels: int) -> None:
    if not RATES[0] <= rate <= RATES[1]:
        raise InputError(f"{path}: has {rate} Hz, not between {RATES[0]} and {RATES[1]}. Fix: {RECORD_AGAIN}")
    if channels > MOST_CHANNELS:
        raise InputError(f"{path}: has {channels} channels. Fix: export it as mono or stereo")
    if count / rate > LONGEST:
        raise InputError(
            f"{path}: is {count / rate / 60:.0f} minutes long, more than {LONGEST // 60}. Fix: cut out clean speech of "
            f"one person, for example: ffmpeg -ss 60 -t 25 -i '{path.name}' '{path.stem}-cut.wav'"
        )


def _check_riff(path: Path, size: int) -> None:
    """Raises InputError where a WAV file's header promises more sound than the file holds: libsndfile would not say."""
    rate_bytes = 0
    with path.open("rb") as f:
        position = 12
        while position + 8 <= size:
            f.seek(position)
            name, length = f.read(4), int.from_bytes(f.read(4), "little")
            if name == b"fmt ":
                f.seek(8, 1)
                rate_bytes = int.from_bytes(f.read(4), "little")
            if name == b"data":
                if length == 0:
                    raise InputError(f"{path}: holds no sound (0 samples). Fix: {RECORD_AGAIN}")
                missing = position + 8 + length - size
                if missing > 0 and length < 0xFFFF_0000:  # whoever writes into a pipe cannot know the length
                    rate = max(rate_bytes, 1)
                    raise _cut_short(path, (length - missing) / rate, length / rate)
                return
            position += 8 + length + length % 2
    raise InputError(f"{path}: is cut off before any sound. Fix: copy it again from where it comes from")


def _check_ogg(path: Path, size: int) -> None:
    """Raises InputError where the last page does not say that it is the last: libsndfile plays what there is."""
    with path.open("rb") as f:
        f.seek(max(0, size - 65_307))  # the longest page
        tail = f.read()
    last = tail.rfind(b"OggS")
    if last < 0 or last + 6 > len(tail) or not tail[last + 5] & 4:
        raise InputError(f"{path}: is cut off; its last page is missing. Fix: copy it again from where it comes from")


def _cut_short(path: Path, seconds: float, promised: float) -> InputError:
    return InputError(
        f"{path}: is cut off after {seconds:.1f} s of {promised:.1f} s. Fix: copy it again from where it comes from"
    )


def _mono(data: NDArray[np.float64]) -> Floats:
    """The mean of the channels; the loudest where they would cancel each other out, or one is silent."""
    if data.shape[1] == 1:
        return data[:, 0]
    power = np.square(data).mean(axis=0)
    mean = data.mean(axis=1)
    if np.square(mean).mean() < 0.4 * power.max():
        return data[:, int(power.argmax())]
    return mean


def _plain(error: Exception) -> str:
    return str(error).removeprefix("Error opening ").rstrip(".")
