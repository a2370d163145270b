"""The cache never serves what is stale, and never encodes what it has."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from likeness.config.data import DataConfig
from likeness.dataset.ingest import read_folder
from likeness.dataset.manifest import Example
from likeness.families import Family
from likeness.families.flux2 import Flux2
from likeness.train.cache import Cache, key_of
from likeness.train.loader import Item, prepare
from tests.train.conftest import Train


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was really encoded since it was last cleared: captions, and 'picture' for each picture."""
    calls: list[str] = []
    encode_text, encode_images = Flux2.encode_text, Flux2.encode_images

    def text(self: Flux2, texts: list[str]) -> object:
        calls.extend(texts)
        return encode_text(self, texts)

    def images(self: Flux2, pixels: torch.Tensor) -> object:
        calls.extend(["picture"] * len(pixels))
        return encode_images(self, pixels)

    monkeypatch.setattr(Flux2, "encode_text", text)
    monkeypatch.setattr(Flux2, "encode_images", images)
    return calls


def examples_of(pictures: Path) -> list[Example]:
    return read_folder(pictures, repeats=1, caption=None, dataset=0, label="test")


def fill(family: Family, pictures: Path, folder: Path, data: DataConfig | None = None, size: int = 32) -> list[Item]:
    data = data or DataConfig(datasets=[str(pictures)])
    *_, items = prepare(family, examples_of(pictures), data, size, 42, Cache(folder))
    assert isinstance(items, list)
    return items


def test_nothing_is_encoded_twice(
    open_tiny: Callable[..., Family], pictures: Path, tmp_path: Path, encoded: list[str]
) -> None:
    fill(open_tiny(), pictures, tmp_path / "cache")
    assert sorted(encoded) == ["", *["picture"] * 3, *(f"tiny_char in picture {n}" for n in range(3))]
    encoded.clear()
    fill(open_tiny(), pictures, tmp_path / "cache")
    assert encoded == []


def test_a_moved_picture_is_the_same_picture(
    open_tiny: Callable[..., Family], pictures: Path, tmp_path: Path, encoded: list[str]
) -> None:
    fill(open_tiny(), pictures, tmp_path / "cache")
    encoded.clear()
    fill(open_tiny(), Path(shutil.move(pictures, tmp_path / "moved")), tmp_path / "cache")
    assert encoded == []


def test_a_changed_pixel_is_noticed(
    open_tiny: Callable[..., Family], pictures: Path, tmp_path: Path, encoded: list[str]
) -> None:
    family, folder = open_tiny(), tmp_path / "cache"
    before = fill(family, pictures, folder)
    encoded.clear()
    with Image.open(pictures / "1.png") as image:
        image.putpixel((20, 20), (255, 255, 255) if image.getpixel((20, 20)) != (255, 255, 255) else (0, 0, 0))
        image.save(pictures / "1.png")
    after = fill(family, pictures, folder)
    assert encoded == ["picture"]
    cache = Cache(folder)
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        same = torch.equal(cache.get(old.latent_keys[0])["latents"], cache.get(new.latent_keys[0])["latents"])
        assert same == (number != 1)


def test_a_changed_caption_is_noticed(
    open_tiny: Callable[..., Family], pictures: Path, tmp_path: Path, encoded: list[str]
) -> None:
    family, folder = open_tiny(), tmp_path / "cache"
    before = fill(family, pictures, folder)
    encoded.clear()
    (pictures / "2.txt").write_text("tiny_char in picture 2, laughing")
    after = fill(family, pictures, folder)
    assert encoded == ["tiny_char in picture 2, laughing"]
    assert [a.text_key == b.text_key for a, b in zip(after, before, strict=True)] == [True, True, False]


@pytest.mark.parametrize(
    ("part", "file", "again"),
    [
        ("vae", "vae/diffusion_pytorch_model.safetensors", ["picture"] * 3),
        ("text", "text_encoder/model.safetensors", ["", *(f"tiny_char in picture {n}" for n in range(3))]),
        ("nothing", "transformer/diffusion_pytorch_model.safetensors", []),
    ],
)
def test_a_changed_encoder_is_noticed(
    open_tiny: Callable[..., Family],
    tiny_base: Path,
    pictures: Path,
    tmp_path: Path,
    encoded: list[str],
    part: str,
    file: str,
    again: list[str],
) -> None:
    base = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    fill(open_tiny(base), pictures, tmp_path / "cache")
    encoded.clear()
    tensors = load_file(base / file)
    name = next(n for n, t in tensors.items() if t.ndim > 1)
    tensors[name].view(-1)[0] += 0.5
    save_file(tensors, base / file, {"format": "pt"})
    fill(open_tiny(base), pictures, tmp_path / "cache")
    assert sorted(encoded) == again


def test_size_crop_and_mirror_are_noticed(
    open_tiny: Callable[..., Family], pictures: Path, tmp_path: Path, encoded: list[str]
) -> None:
    family, folder = open_tiny(), tmp_path / "cache"
    fill(family, pictures, folder)
    for data, size, count in (
        (DataConfig(datasets=["x"]), 48, 3),
        (DataConfig(datasets=["x"], flip=True), 32, 3),  # the plain side is there
        (DataConfig(datasets=["x"], crop="random"), 32, 12),
    ):
        encoded.clear()
        fill(family, pictures, folder, data, size)
        assert encoded == ["picture"] * count


@pytest.mark.parametrize("damage", [b"", b"junk", None])
def test_a_damaged_entry_is_made_again(
    open_tiny: Callable[..., Family], pictures: Path, tmp_path: Path, encoded: list[str], damage: bytes | None
) -> None:
    family, folder = open_tiny(), tmp_path / "cache"
    items = fill(family, pictures, folder)
    whole = {p: p.read_bytes() for p in folder.rglob("*.safetensors")}
    path = next(p for p in whole if p.stem == items[1].latent_keys[0])
    path.write_bytes(whole[path][:-20] if damage is None else damage)
    encoded.clear()
    fill(family, pictures, folder)
    assert encoded == ["picture"]
    assert {p: p.read_bytes() for p in folder.rglob("*.safetensors")} == whole


def test_a_deleted_cache_changes_nothing(make_run: Callable[..., Path], run_loop: Train) -> None:
    run = make_run()
    first = run_loop(run, stop_after=4)
    shutil.rmtree(run / "cache")
    second = run_loop(run)
    whole = run_loop(make_run("whole"))
    losses = [e.loss for t in (first, second) for e in t.events if e.kind == "step"]
    assert losses == [e.loss for e in whole.events if e.kind == "step"]


def test_keys_tell_everything_apart() -> None:
    keys = {
        key_of("a", "b"),
        key_of("ab"),
        key_of("a", "b", None),
        key_of("a", ("b",)),
        key_of("b", "a"),
        key_of("a", 1),
    }
    assert len(keys) == 6


def test_views_of_a_picture_belong_together(open_tiny: Callable[..., Family], pictures: Path, tmp_path: Path) -> None:
    """Source and result of an edit are cropped and mirrored alike."""
    one, two, *_ = examples_of(pictures)
    pair = replace(one, reference=two.path, reference_sha256=two.sha256)
    data = DataConfig(datasets=["x"], crop="random", flip=True)
    *_, items = prepare(
        open_tiny(), [pair, replace(pair, path=two.path, sha256=two.sha256)], data, 32, 42, Cache(tmp_path)
    )
    assert isinstance(items, list)
    assert len(items[0].latent_keys) == len(items[0].reference_keys) == 8
    assert items[1].latent_keys == items[1].reference_keys == items[0].reference_keys
