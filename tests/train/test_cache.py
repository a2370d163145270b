"""The cache never serves what is stale, and never encodes what it has."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from likeness.config.augment import AugmentConfig, FixedChanges, RandomChanges
from likeness.config.data import DataConfig, DatasetConfig, MaskedLossConfig
from likeness.dataset.formats import measure
from likeness.dataset.index import Index
from likeness.dataset.ingest import read_dataset
from likeness.dataset.manifest import Example
from likeness.families import Family
from likeness.families.flux2 import Flux2
from likeness.train.cache import Cache, key_of
from likeness.train.loader import Item, mask_weights, prepare
from tests.tiny_run import write_pictures
from tests.train.conftest import Train


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was really encoded since it was last cleared: captions, and 'picture' for each picture."""
    calls: list[str] = []
    encode_text, encode_images = Flux2.encode_text, Flux2.encode_images

    def text(self: Flux2, texts: list[str], references: Sequence[Image.Image] = ()) -> object:
        calls.extend(texts)
        return encode_text(self, texts)

    def images(self: Flux2, pixels: torch.Tensor) -> object:
        calls.extend(["picture"] * len(pixels))
        return encode_images(self, pixels)

    monkeypatch.setattr(Flux2, "encode_text", text)
    monkeypatch.setattr(Flux2, "encode_images", images)
    return calls


def examples_of(pictures: Path) -> list[Example]:
    settings = DatasetConfig(path=str(pictures), repeats=1)
    return read_dataset(settings, index=Index(), store=pictures.parent / "kept").examples


def fill(family: Family, pictures: Path, folder: Path, data: DataConfig | None = None, size: int = 32) -> list[Item]:
    data = data or DataConfig(datasets=[str(pictures)])
    *_, items = prepare(family, examples_of(pictures), data, size, 42, Cache(folder))
    assert isinstance(items, list)
    return items


def latents_of(item: Item) -> str:
    return item.sizes[0].plain.latents


def changed(**values: object) -> DataConfig:
    return DataConfig(datasets=["x"], augment=AugmentConfig(**values))  # type: ignore[arg-type]


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
        same = torch.equal(cache.get(latents_of(old))["latents"], cache.get(latents_of(new))["latents"])
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
    assert [a.sizes[0].texts == b.sizes[0].texts for a, b in zip(after, before, strict=True)] == [True, True, False]


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


def test_size_and_changes_are_noticed(
    open_tiny: Callable[..., Family], pictures: Path, tmp_path: Path, encoded: list[str]
) -> None:
    family, folder = open_tiny(), tmp_path / "cache"
    fill(family, pictures, folder)
    for data, size, count in (
        (DataConfig(datasets=["x"], upscale=True), 48, 3),
        (DataConfig(datasets=["x"]), 48, 0),  # nothing is enlarged unasked
        (changed(random=RandomChanges(flip=True)), 32, 3),  # the plain side is there
        (changed(random=RandomChanges(crop=0.2), variations=5), 32, 12),
        (changed(fixed=FixedChanges(hue=9)), 32, 3),
        (DataConfig(datasets=["x"], fit="pad"), 32, 3),
        (DataConfig(datasets=["x"], resolutions=[32, 48], upscale=True), 0, 0),  # both are there
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
    path = next(p for p in whole if p.stem == latents_of(items[1]))
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
    pair = replace(
        one, references=(two.path,), reference_sha256s=(two.sha256,), reference_sizes=((two.width, two.height),)
    )
    data = changed(random=RandomChanges(crop=0.2, flip=True, rotate=5, hue=20), variations=6)
    *_, items = prepare(
        open_tiny(), [pair, replace(pair, path=two.path, sha256=two.sha256)], data, 32, 42, Cache(tmp_path)
    )
    assert isinstance(items, list)
    views = items[0].sizes[0].views[0]
    assert len({view.latents for view in views}) == len(views) == 6
    of_two = [view.references[0] for view in views]
    assert [view.latents for view in items[1].sizes[0].views[0]] == of_two


def test_masks_are_the_size_of_the_latents_and_follow_the_picture(
    open_tiny: Callable[..., Family], pictures: Path, tmp_path: Path
) -> None:
    mask = Image.new("L", (40, 36))
    mask.paste(255, (0, 0, 20, 36))
    mask.save(tmp_path / "mask.png")
    digest = measure(tmp_path / "mask.png").sha256
    masked, plain, _ = examples_of(pictures)
    masked = replace(masked, mask=str(tmp_path / "mask.png"), mask_sha256=digest)
    cache, data = Cache(tmp_path / "cache"), changed(random=RandomChanges(flip=True))
    *_, items = prepare(open_tiny(), [masked, plain], data, 32, 42, cache)
    assert isinstance(items, list)
    shown, mirrored = items[0].sizes[0].views[0]
    assert shown.mask and mirrored.mask and items[1].sizes[0].plain.mask is None
    x0 = torch.stack([cache.get(shown.latents)["latents"]] * 3)
    weights = mask_weights([shown.mask, mirrored.mask, None], x0, 0.25, cache)
    assert weights is not None and weights.shape == (3, 1, *x0.shape[-2:])
    half = x0.shape[-1] // 2
    assert (weights[0, 0, :, :half] == 1).all() and (weights[0, 0, :, half:] == 0.25).all()
    assert torch.equal(weights[1], weights[0].flip(-1)) and (weights[2] == 1).all()
    off = data.model_copy(update={"masked_loss": MaskedLossConfig(enabled=False)})
    *_, items = prepare(open_tiny(), [masked], off, 32, 42, cache)
    assert isinstance(items, list) and items[0].sizes[0].plain.mask is None


def test_padding_is_not_learned(open_tiny: Callable[..., Family], tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "wide", 1, (96, 32))
    data = DataConfig(datasets=["x"], fit="square-pad")
    cache = Cache(tmp_path / "cache")
    *_, items = prepare(open_tiny(), examples_of(folder), data, 96, 42, cache)
    assert isinstance(items, list) and items[0].sizes[0].size == (96, 96)
    plain = items[0].sizes[0].plain
    assert plain.mask is not None
    mask = cache.get(plain.mask)["mask"]
    assert mask.shape[1:] == cache.get(plain.latents)["latents"].shape[1:]
    third = mask.shape[1] // 3
    assert (mask[:, third : 2 * third] == 1).all() and mask.sum() == mask[:, third : 2 * third].numel()
