"""Masks: which parts of a picture are learned from. White is, black is not."""

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from likeness.config.data import DatasetConfig
from likeness.dataset.formats import is_picture, open_alpha, open_rgb
from likeness.dataset.problems import Remarks
from likeness.dataset.sources import by_stem, list_files
from likeness.errors import InputError

MASK_SUFFIX = "-masklabel"
CONDITION_SUFFIX = "-condlabel"

FindMask = Callable[[Path], Path | None]


def open_mask(picture: Path, mask: Path) -> Image.Image:
    """The mask as 8-bit grey, upright: the alpha of the picture where `mask` is its own path.

    Raises InputError if it cannot be decoded.
    """
    return open_alpha(picture) if mask == picture else open_rgb(mask).convert("L")


def mask_suffix(settings: DatasetConfig) -> str:
    """The end of a mask's name that tells it from pictures."""
    return settings.masks if settings.masks.startswith(("-", "_")) else MASK_SUFFIX


def labels(pictures: list[Path], suffixes: tuple[str, ...]) -> set[Path]:
    """Those of the pictures that belong to another one: NAME-masklabel.png where there is a NAME.png."""
    stems = {str(p.with_suffix("")) for p in pictures}
    return {
        p for p in pictures for s in suffixes
        if len(p.stem) > len(s) and p.stem.endswith(s) and str(p.with_suffix("")).removesuffix(s) in stems
    }  # fmt: skip


def mask_finder(settings: DatasetConfig, pictures: list[Path], root: Path, remarks: Remarks) -> FindMask:
    """What finds the mask file of a picture; None where it has none. Alpha is left to the reader of the pixels.

    `pictures` are all picture files of the dataset. Raises InputError for a folder of masks that cannot be read.
    """
    if settings.masks in ("alpha", "none"):
        return lambda _: None
    if settings.mask_folder is None:
        suffix = mask_suffix(settings)
        beside = {str(p.with_suffix("")): p for p in labels(pictures, (suffix,))}
        return lambda picture: beside.get(str(picture.with_suffix("")) + suffix)
    folder = Path(settings.mask_folder)
    if not folder.is_dir():
        raise InputError(f"masks: the folder {folder} does not exist. Fix: correct the path")
    files, _ = list_files(folder, lambda _: True, remarks)
    stems = by_stem((f for f in files if is_picture(f)), folder)

    def find(picture: Path) -> Path | None:
        inside = picture.relative_to(root).with_suffix("").as_posix()
        return next((stems[stem][0] for stem in (inside, picture.stem) if stem in stems), None)

    return find
