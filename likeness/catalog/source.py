"""Where the files of a base model come from, where that is not its Card's own folder or repository alone."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a user may say of a base besides its name; paths are absolute. None, False: nothing said."""

    transformer: str | None = None  # folder or file; for Stable Diffusion, the UNet
    vae: str | None = None
    text_encoder: str | None = None
    text_encoder_2: str | None = None
    parts_from: str | None = None  # catalogue name, hub repository or folder
    revision: str | None = None
    offline: bool = False
    allow_pickle: bool = False

    @property
    def parts(self) -> dict[str, str]:
        """The single parts that were named, by setting."""
        named = {name: getattr(self, name) for name in PARTS}
        return {name: place for name, place in named.items() if place is not None}


PARTS = ("transformer", "vae", "text_encoder", "text_encoder_2")  # what a user can give one by one
DENOISERS = ("transformer", "unet")  # folders in which the network that draws may be


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where loaders find a base's files."""

    parts: tuple[tuple[str, Path], ...] = ()  # (setting, folder or file) in place of the base's own
    checkpoint: Path | None = None  # one file with all networks, in the layout of the first Stable Diffusion
    home: str | None = None  # repository or folder with the parts that the base's own place lacks
    revision: str | None = None  # of the base's repository
    offline: bool = False
    allow_pickle: bool = False
    guessed: bool = False  # the Card was judged by a repository's name; what is fetched may show otherwise
    commits: tuple[tuple[str, str], ...] = ()  # (repository, commit) to fetch, whatever the revision leads to now
    folders: tuple[Path, ...] = ()  # once fetched: the base's own folder, then that of `home`

    def commit(self, repository: str) -> str | None:
        return dict(self.commits).get(repository)


def hub_cache() -> Path:
    """The folder where everything fetched from the hub is kept, as huggingface_hub finds it."""
    if place := os.environ.get("HF_HUB_CACHE"):
        return Path(place).expanduser()
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface"
    return Path(home).expanduser() / "hub"


def hub_folder(repository: str) -> Path:
    """Where the hub's cache keeps this repository."""
    return hub_cache() / f"models--{repository.replace('/', '--')}"


def cached_snapshot(repository: str, revision: str | None = None) -> Path | None:
    """The folder of a repository's files in the hub's cache, whole or in part; None where it was never fetched."""
    place = hub_folder(repository)
    reference = place / "refs" / (revision or "main")
    try:
        commit = reference.read_text(encoding="utf-8").strip() if reference.is_file() else revision
    except OSError:
        return None
    folder = place / "snapshots" / commit if commit else None
    return folder if folder is not None and folder.is_dir() else None
