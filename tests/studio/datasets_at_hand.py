"""Datasets for tests: the examples, and small pictures."""

import shutil
from pathlib import Path

from PIL import Image

from likeness.studio import datasets
from likeness.studio.workspace import Studio

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def picture(path: Path, size: tuple[int, int] = (64, 48), colour: str = "teal") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def put(studio: Studio, dataset: str, tmp_path: Path, name: str = "a.png", **how: object) -> str:
    """Add a small picture; the name that it got."""
    source = picture(tmp_path / "incoming" / "upload.png", **how)  # type: ignore[arg-type]
    return datasets.add(studio, dataset, source, name)


def put_folder(studio: Studio, dataset: str, folder: Path, tmp_path: Path) -> None:
    """Add copies of all pictures and captions of a folder."""
    for file in sorted(folder.iterdir()):
        if file.suffix == ".txt":
            datasets.add_text(studio, dataset, file.read_bytes(), file.name)
        else:
            copy = shutil.copyfile(file, tmp_path / "upload")
            datasets.add(studio, dataset, Path(copy), file.name)
