"""`enhance`: a copy of a folder in which small pictures are larger."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from likeness.dataset.enlarging import open_whole
from likeness.dataset.formats import open_alpha, open_rgb
from likeness.dataset.geometry import crop_file, read_crop, write_crop
from likeness.enhance.upscaler import Upscaler
from likeness.errors import InputError, Interrupted
from likeness.service import enhancements
from likeness.service.enhancements import Enhancement
from likeness.worker import enhancing
from tests.tiny_run import write_pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two small pictures, one with a mask, a list and a crop box; one that is large enough; one that is broken."""
    folder = write_pictures(tmp_path / "maya", 2, (24, 20))
    Image.new("L", (24, 20), 255).save(folder / "0-masklabel.png")
    Image.new("RGBA", (30, 20), (200, 40, 90, 128)).save(folder / "see-through.webp", lossless=True)
    Image.new("RGB", (80, 80), "red").save(folder / "large.jpg")
    (folder / "broken.png").write_bytes(b"\x89PNG")
    (folder / "metadata.jsonl").write_text('{"file_name": "0.png", "text": "maya"}\n')
    crop_file(folder / "1.png").write_text('{"x": 4, "y": 0, "width": 20, "height": 20}')
    return folder


@pytest.fixture
def enhance(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, object]]:
    """Runs the job in this process, with an upscaler that repeats pixels."""

    def open_fake(model: Path | None, device: object) -> Upscaler:
        def double(pixels):  # type: ignore[no-untyped-def]
            return pixels.repeat_interleave(2, 2).repeat_interleave(2, 3)

        return Upscaler(str(model or "shipped"), 2, double, device)  # type: ignore[arg-type]

    monkeypatch.setattr(enhancing, "open_upscaler", open_fake)

    def run(**changes: object) -> dict[str, object]:
        job = {"folder": str(folder), "output": str(tmp_path / "out"), "under": 64, "model": None, "device": "cpu"}
        place = tmp_path / "job"
        place.mkdir(exist_ok=True)
        (place / "job.json").write_text(json.dumps(job | changes))
        assert enhancing.run(place) == 0
        return json.loads((place / "result.json").read_text())

    return run


def test_a_copy_with_larger_pictures(enhance: Callable[..., dict[str, object]], folder: Path, tmp_path: Path) -> None:
    before = {p: p.read_bytes() for p in folder.iterdir()}
    result, out = enhance(), tmp_path / "out"
    assert {p: p.read_bytes() for p in folder.iterdir()} == before
    names = {p.name for p in before} - {"broken.png"} | {enhancing.RECORD}
    assert {p.name for p in out.iterdir()} == names
    assert open_rgb(out / "0.png").tobytes() == open_rgb(folder / "0.png").resize((48, 40), 0).tobytes()
    for name in ("large.jpg", "0-masklabel.png", "0.txt", "metadata.jsonl"):
        assert (out / name).read_bytes() == before[folder / name]
    clear = Image.open(out / "see-through.webp")
    assert clear.size == (60, 40) and clear.getpixel((9, 9)) in [(200, 40, 90, 128), (199, 40, 90, 128)]
    assert read_crop(out / "1.png", 48, 40) == (8, 0, 40, 40)
    assert len(result["enhanced"]) == 3 and result["copied"] == 5  # type: ignore[arg-type]
    assert any("broken.png" in note for note in result["notes"])  # type: ignore[union-attr]
    assert any("is still below 64x64 at 48x40" in note for note in result["notes"])  # type: ignore[union-attr]


def test_it_goes_on_where_it_was_stopped(
    enhance: Callable[..., dict[str, object]], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = iter([False, True])
    with monkeypatch.context() as patch:
        patch.setattr(enhancing, "StopRequest", lambda: lambda: next(asked))
        with pytest.raises(Interrupted):
            enhance()
    first = tmp_path / "out" / "0.png"
    stamp = first.stat().st_mtime_ns
    assert len([p for p in (tmp_path / "out").iterdir() if p.suffix == ".png"]) == 1
    write_crop(folder / "0.png", (0.0, 0.0, 20.0, 20.0), 24, 20)
    assert len(enhance()["enhanced"]) == 3 and first.stat().st_mtime_ns == stamp  # type: ignore[arg-type]
    Image.new("RGB", (24, 20)).save(folder / "0.png")
    enhance()
    assert open_rgb(first).getextrema() == ((0, 0), (0, 0), (0, 0))


def test_what_is_there_is_not_written_over(enhance: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        enhance()
    enhance(output=str(tmp_path / "other"))
    with pytest.raises(InputError, match="by another model"):
        enhance(output=str(tmp_path / "other"), model="sharp")


def test_nothing_is_written_where_all_are_large_enough(
    enhance: Callable[..., dict[str, object]], tmp_path: Path
) -> None:
    assert enhance(under=16)["enhanced"] == [] and not (tmp_path / "out").exists()


def test_colours_under_alpha_are_as_they_were(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 1))
    for x, pixel in enumerate([(10, 200, 90, 255), (10, 200, 90, 128), (250, 3, 77, 60), (9, 9, 9, 0)]):
        image.putpixel((x, 0), pixel)
    image.save(tmp_path / "a.png")
    whole = open_whole(tmp_path / "a.png")
    white = Image.new("RGBA", (4, 1), "white")
    again = Image.alpha_composite(white, whole).convert("RGB")
    for a, b in zip(again.tobytes(), open_rgb(tmp_path / "a.png").tobytes(), strict=True):
        assert abs(a - b) <= 1
    assert whole.getchannel("A").tobytes() == open_alpha(tmp_path / "a.png").tobytes()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"folder": "nowhere"}, "no such folder"),
        ({"output": "maya/large"}, "in the folder itself"),
        ({"under": 3}, "--under"),
    ],
)
def test_requests_that_make_no_sense(folder: Path, tmp_path: Path, changes: dict[str, object], words: str) -> None:
    job = {"folder": folder} | {k: tmp_path / v if isinstance(v, str) else v for k, v in changes.items()}
    with pytest.raises(InputError, match=words):
        enhancements.order(Enhancement(**job))  # type: ignore[arg-type]
