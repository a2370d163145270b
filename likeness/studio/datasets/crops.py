"""Crop boxes: which part of a picture is learned from."""

from collections.abc import Iterable

from likeness.dataset import geometry
from likeness.dataset.manifest import Box
from likeness.errors import InputError
from likeness.studio.datasets import steps
from likeness.studio.datasets.files import path_of, size_of
from likeness.studio.datasets.rows import files_of, get
from likeness.studio.workspace import Studio


def set_crop(studio: Studio, dataset: str, name: str, box: Box | None) -> None:
    """Keep a crop box, given as shares of the picture: x, y, width, height; None takes it away.

    Raises InputError for a box that leads out of the picture or is too small.
    """
    crop(studio, dataset, {name: box}, f"cropped {name}" if box else f"showed all of {name}")


def crop(studio: Studio, dataset: str, boxes: dict[str, Box | None], what: str) -> None:
    """Several crop boxes, by picture; raises before anything is written."""
    dataset_id = get(studio, dataset).id
    files = files_of(studio, dataset_id)
    sized = {name: (path, size_of(path)) for name in boxes if (path := path_of(studio, dataset_id, name))}
    for name, box in boxes.items():
        _check_box(name, box, sized[name][1])
    with steps.taking(studio, dataset_id, what) as step:
        for name, box in boxes.items():
            path, (width, height) = sized[name]
            step.keep(geometry.crop_file(path).relative_to(files).as_posix())
            whole = box is None or (box[2] >= 1 and box[3] >= 1)
            pixels = None if whole or box is None else (
                box[0] * width, box[1] * height, box[2] * width, box[3] * height
            )  # fmt: skip
            geometry.write_crop(path, pixels, width, height)


def square(studio: Studio, dataset: str, names: Iterable[str]) -> int:
    """Crop the middle square of pictures that are not square; how many those were."""
    dataset_id = get(studio, dataset).id
    boxes: dict[str, Box | None] = {}
    for name in names:
        width, height = size_of(path_of(studio, dataset_id, name))
        if width and height and width != height:
            side = min(width, height)
            across, down = side / width, side / height
            boxes[name] = ((1 - across) / 2, (1 - down) / 2, across, down)
    if boxes:
        crop(studio, dataset, boxes, f"cropped {len(boxes)} to squares")
    return len(boxes)


def _check_box(name: str, box: Box | None, size: tuple[int, int]) -> None:
    if box is None:
        return
    x, y, across, down = box
    slack = 1e-4
    if not (x >= 0 and y >= 0 and x + across <= 1 + slack and y + down <= 1 + slack and across > 0 and down > 0):
        raise InputError(f"crop: {name}: leads out of the picture. Fix: give x, y, width and height as shares of it, "
                         "from 0 to 1")  # fmt: skip
    if min(across * size[0], down * size[1]) < geometry.SMALLEST_CROP:
        raise InputError(f"crop: {name}: leaves less than {geometry.SMALLEST_CROP} pixels. Fix: make it larger")
