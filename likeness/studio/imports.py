"""Files from URLs, put into datasets, among the recordings and into the library. Where they may come from is for the
settings to say."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from likeness.dataset.wording import one_line
from likeness.errors import InputError
from likeness.store.tables import Model
from likeness.studio import bundles, models, outside, preferences, recordings
from likeness.studio.datasets import arrivals, get
from likeness.studio.datasets.arrivals import Arrived
from likeness.studio.outside import Fetched, Limits
from likeness.studio.recordings import Recording
from likeness.studio.workspace import Studio

MOST_URLS = 100  # at a time
_ENDINGS = {
    "image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp", "image/heic": ".heic", "image/gif": ".gif",
    "application/zip": ".zip", "application/x-zip-compressed": ".zip", "application/x-tar": ".tar",
    "text/plain": ".txt", "audio/wav": ".wav", "audio/x-wav": ".wav", "audio/flac": ".flac", "audio/ogg": ".ogg",
    "audio/mpeg": ".mp3",
}  # fmt: skip


def into_dataset(studio: Studio, dataset: str, urls: Sequence[str]) -> Arrived:
    """Fetch pictures, captions and archives. What cannot be fetched or used is told, and the others go in.

    All of them together have as much time as the settings give to one. Raises NotFound, InputError for too many, and
    where the settings allow no imports.
    """
    row, limits = get(studio, dataset), _limits(studio)
    if not 0 < len(urls) <= MOST_URLS:
        raise InputError(f"urls: there are {len(urls)}. Fix: give 1 to {MOST_URLS}")
    for url in urls:
        outside.check_url(url)
    arrived, end = Arrived(), time.monotonic() + limits.seconds
    for number, url in enumerate(urls, start=1):
        with tempfile.TemporaryDirectory(dir=_room(studio), prefix="import-") as place:
            try:
                left = Limits(limits.most_bytes, max(0.001, end - time.monotonic()), limits.private)
                found = outside.fetch(url, Path(place) / "file", left)
                _add(arrived, arrivals.take(studio, row.id, Path(place) / "file", _named(found, f"import-{number}")))
            except InputError as e:
                arrived.refused += [f"{one_line(url)[:200]}: {problem}" for problem in e.problems]
    return arrived


def into_library(studio: Studio, url: str) -> Model:
    """Fetch a LoRA (.safetensors), or a bundle that another Likeness made. Raises InputError, Conflict."""
    limits = _limits(studio)
    with tempfile.TemporaryDirectory(dir=_room(studio), prefix="import-") as place:
        file = Path(place) / "file"
        found = outside.fetch(url, file, limits)
        name = _named(found, "lora")
        if name.lower().endswith((bundles.SUFFIX, ".zip")):
            return bundles.import_bundle(studio, file)
        return models.import_lora(studio, file, name)


def into_recordings(studio: Studio, url: str) -> Recording:
    """Fetch a recording. Raises InputError."""
    with tempfile.TemporaryDirectory(dir=_room(studio), prefix="import-") as place:
        file = Path(place) / "file"
        found = outside.fetch(url, file, _limits(studio))
        return recordings.receive_copy(studio, file, _named(found, "recording"))


def _limits(studio: Studio) -> Limits:
    asked = preferences.get(studio, preferences.Imports)
    if not asked.on:
        raise InputError("urls: are not fetched here. Fix: send the file itself, or turn imports on in the settings")
    return Limits(asked.most_megabytes * 10**6, float(asked.seconds), asked.allow_private)


def _named(found: Fetched, otherwise: str) -> str:
    """A name with an ending: the file's own, else one by what the server says that it is."""
    name = one_line(found.name).strip(". ")[-150:] or otherwise
    return name if Path(name).suffix else name + _ENDINGS.get(found.content_type, "")


def _add(whole: Arrived, part: Arrived) -> None:
    for field in ("pictures", "texts", "refused", "notes"):
        getattr(whole, field).extend(getattr(part, field))
    whole.pairs += part.pairs


def _room(studio: Studio) -> Path:
    studio.uploads.mkdir(parents=True, exist_ok=True)
    return studio.uploads
