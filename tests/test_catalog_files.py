"""What files of weights are taken for, by their headers alone."""

import json
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from likeness.catalog import CARDS, Card, Choice, resolve_base
from likeness.errors import InputError

KLEIN = "single_stream_modulation.linear.weight"
Sizes = Mapping[str, tuple[int, ...]]


def weights(path: Path, sizes: Sizes, dtype: str = "BF16", **others: tuple[str, tuple[int, ...]]) -> Path:
    """A safetensors file of holes: a header, and nothing on the disk for the tensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, end = {"__metadata__": {"format": "pt"}}, 0
    for name, (kind, shape) in ({n: (dtype, s) for n, s in sizes.items()} | others).items():
        rows[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [end, end := end + 2]}  # pyright: ignore[reportArgumentType]
    header = json.dumps(rows).encode()
    with path.open("wb") as f:
        f.write(struct.pack("<Q", len(header)) + header)
        f.truncate(8 + len(header) + end)
    return path


def sizes_of(card: Card, layout: int) -> dict[str, tuple[int, ...]]:
    return {name: tuple(side or 1 for side in shape) for name, shape in card.tensors[layout].items()}


def refusal(base: Path | str, **choice: object) -> str:
    with pytest.raises(InputError) as error:
        resolve_base(str(base), choice=Choice(**choice))  # pyright: ignore[reportArgumentType]
    return str(error.value)


@pytest.mark.parametrize("card", [c for c in CARDS.values() if c.repository], ids=lambda c: c.name)
def test_a_file_is_taken_for_its_own_card_in_every_layout_and_under_every_prefix(card: Card, tmp_path: Path):
    assert card.tensors, "detection needs them"
    for layout in range(len(card.tensors)):
        for prefix in ("", "model.diffusion_model.", "diffusion_model."):
            sizes = {prefix + name: shape for name, shape in sizes_of(card, layout).items()}
            file = weights(tmp_path / f"{card.name}.safetensors", sizes)
            found = resolve_base(str(file))
            assert (found.name, found.repository) == (card.name, card.repository)
            assert found.source.parts == (("transformer", file),)


def test_sisters_are_told_apart_by_the_files_name_and_the_one_to_train_on_comes_first(tmp_path: Path):
    for name, card in {
        "flux-2-klein-base-4b-fp8": "flux2-klein-base-4b", "flux-2-klein-4b": "flux2-klein-4b",
        "my tune": "flux2-klein-base-4b",
    }.items():  # fmt: skip
        assert resolve_base(str(weights(tmp_path / f"{name}.safetensors", {KLEIN: (9216, 3072)}))).name == card


def test_a_whole_checkpoint_brings_all_networks(tmp_path: Path):
    sizes = {f"model.diffusion_model.{n}": s for n, s in sizes_of(CARDS["sdxl"], 1).items()}
    sizes |= {"first_stage_model.decoder.conv_in.weight": (1,), "conditioner.embedders.0.x": (1,)}
    card = resolve_base(str(weights(tmp_path / "juggernaut.safetensors", sizes)))
    assert (card.name, card.source.checkpoint, card.source.parts) == ("sdxl", tmp_path / "juggernaut.safetensors", ())


def test_a_size_that_no_card_has_needs_a_home(tmp_path: Path):
    file = weights(tmp_path / "pruned.safetensors", {KLEIN: (96, 32)})
    assert "family flux2, of an unlisted size" in refusal(file) and "model.parts_from" in refusal(file)
    assert resolve_base(str(file), choice=Choice(parts_from="starter")).path == CARDS["starter"].path
    assert "is a Z-Image (z_image), but pruned.safetensors holds" in refusal(file, parts_from="z-image")


def test_files_that_are_no_base(tmp_path: Path):
    lora = weights(tmp_path / "lora.safetensors", {"transformer.x.lora_A.weight": (4, 8)})
    vae = weights(tmp_path / "vae.safetensors", {"decoder.conv_in.weight": (8, 8)})
    assert "holds a LoRA" in refusal(lora)
    assert "holds a vae, which is no base model" in refusal(vae)
    assert "holds nothing that is known here" in refusal(weights(tmp_path / "x.safetensors", {"a.weight": (1, 1)}))
    for name, words in {"a.gguf": "GGUF", "a.txt": "no file of weights"}.items():
        (tmp_path / name).touch()
        assert words in refusal(tmp_path / name)


@pytest.mark.parametrize(
    ("weight", "others", "words"),
    [
        ("U8", {}, "stored in U8"),
        ("BF16", {"x.weight_scale_2": ("F32", ())}, "in 4 bits"),
        ("F8_E4M3", {KLEIN.replace("weight", "weight_scale"): ("F32", (9216, 96))}, "one scale per block"),
        ("F8_E4M3", {KLEIN.replace("weight", "weight_scale"): ("F8_E8M0", (9216,))}, "one scale per block"),
        ("F8_E4M3", {KLEIN.replace("weight", "scale_weight"): ("F32", ())}, ""),
        ("F8_E4M3", {KLEIN.replace("weight", "weight_scale"): ("F32", (9216, 1))}, ""),
        ("F8_E5M2", {}, ""),
    ],
)
def test_number_formats(weight: str, others: dict[str, tuple[str, tuple[int, ...]]], words: str, tmp_path: Path):
    file = weights(tmp_path / "f.safetensors", {KLEIN: (9216, 3072)}, weight, **others)
    if words:
        assert words in refusal(file) and refusal(file).startswith("base: ")
    else:
        assert resolve_base(str(file)).name == "flux2-klein-base-4b"


def test_a_pickle_is_refused_and_where_allowed_only_looked_through(tmp_path: Path):
    text = b"".join(pickled(f"model.diffusion_model.{name}") for name in CARDS["sd15"].tensors[1])
    text += b"".join(map(pickled, ("first_stage_model.decoder.conv_in.weight", "cond_stage_model.x.y")))
    with zipfile.ZipFile(tmp_path / "old.ckpt", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + text + b"cos\nsystem\n.")  # would be os.system
    assert "can run code" in refusal(tmp_path / "old.ckpt") and "allow_pickle" in refusal(tmp_path / "old.ckpt")
    card = resolve_base(str(tmp_path / "old.ckpt"), choice=Choice(allow_pickle=True))
    assert (card.name, card.source.allow_pickle) == ("sd15", True)
    (tmp_path / "odd.pt").write_bytes(b"text")
    assert "not a PyTorch file of today's form" in refusal(tmp_path / "odd.pt", allow_pickle=True)


def pickled(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


@pytest.mark.parametrize("damage", ["short", "long", "no json", "no tensors", "cut"])
def test_damaged_files_are_told(damage: str, tmp_path: Path):
    file = weights(tmp_path / "f.safetensors", {KLEIN: (9216, 3072)})
    data = file.read_bytes()
    file.write_bytes({
        "short": b"ab", "long": struct.pack("<Q", 1 << 40) + data[8:], "no json": data[:8] + b"}" + data[9:],
        "no tensors": struct.pack("<Q", 10) + b'{"a": 123}', "cut": data[:-1],
    }[damage])  # fmt: skip
    assert "cannot be used" in refusal(file)


def test_parts_are_checked_against_the_base(tmp_path: Path):
    klein = weights(tmp_path / "klein.safetensors", {KLEIN: (9216, 3072)})
    assert resolve_base("flux2-klein-base-4b", choice=Choice(transformer=str(klein))).source.parts[0][1] == klein
    wrong = refusal("z-image", transformer=str(klein))
    assert wrong.startswith("model.transformer: ") and "FLUX.2 klein base 4B" in wrong and "Z-Image" in wrong
    assert "FLUX.2 klein base 9B" in refusal("flux2-klein-base-9b", transformer=str(klein))
    assert "holds a transformer" in refusal("starter", transformer=str(klein))  # another size than its own
    both = refusal("starter", vae=str(klein), text_encoder=str(tmp_path / "none"))
    assert "model.vae: " in both and "Fix: give a vae" in both and "model.text_encoder: nothing is at" in both
    assert "no config.json" in refusal("starter", vae=str(tmp_path))
    assert "a single text encoder" in refusal("flux2-klein-4b", text_encoder_2=str(klein))
    assert "one is a folder" in refusal("starter", revision="main")


def test_a_folder_with_pickles_alone(tmp_path: Path):
    (tmp_path / "m" / "vae").mkdir(parents=True)
    (tmp_path / "m" / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    (tmp_path / "m" / "vae" / "diffusion_pytorch_model.bin").touch()
    assert "vae/diffusion_pytorch_model.bin is a pickle" in refusal(tmp_path / "m")
    assert resolve_base(str(tmp_path / "m"), choice=Choice(allow_pickle=True)).family == "stable_diffusion"


def test_an_earlier_run_lends_its_base(tmp_path: Path):
    klein = weights(tmp_path / "klein.safetensors", {KLEIN: (9216, 3072)})
    run = tmp_path / "run"
    run.mkdir()
    settings = {"base": "flux2-klein-base-4b", "model": {"transformer": str(klein), "revision": "v1"}}
    (run / "run.json").write_text(json.dumps({"config": settings}))
    card = resolve_base(str(run))
    assert (card.name, card.source.parts) == ("flux2-klein-base-4b", (("transformer", klein),))
    assert resolve_base(str(run), choice=Choice(revision="v2")).source.revision == "v2"
    (run / "run.json").write_text("{}")
    assert "does not tell of a run" in refusal(run)


def test_a_repository_with_a_revision():
    card = resolve_base("black-forest-labs/FLUX.2-klein-4B@v1.0")
    assert (card.name, card.source.revision) == ("flux2-klein-4b", "v1.0")
    assert "another than the one in base" in refusal("a/flux2@v1", revision="v2")


def test_an_unlisted_repository_that_was_fetched_is_known_by_its_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    place = tmp_path / "models--somebody--painter"
    (place / "snapshots" / "abc").mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("abc")
    assert "tells of no family" in refusal("somebody/painter")
    (place / "snapshots" / "abc" / "model_index.json").write_text('{"_class_name": "ZImagePipeline"}')
    card = resolve_base("somebody/painter")
    assert (card.family, card.repository, card.path) == ("z_image", "somebody/painter", None)
    assert not card.source.guessed
