"""Every layout is read and written without changing what a LoRA does, or refused in words."""

import json
import random
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from likeness.errors import InputError
from likeness.lora import layouts
from likeness.lora.change import Change, Kind
from likeness.lora.keys import LAYOUTS
from likeness.lora.layouts import Lora, available, compare, convert, read_any, write_layout
from tests.lora.loras import FAMILIES, RANK, UNIT, Numbers, all_names, names_of, random_lora

Tensors = dict[str, torch.Tensor]
LAYER = "transformer_blocks.0.attn.to_k"


def save(tensors: Tensors, path: Path, metadata: dict[str, str] | None = None) -> None:
    save_file({k: w.contiguous().clone() for k, w in tensors.items()}, path, metadata)


def without_text_encoders(lora: Lora) -> Lora:
    own = {n: c for n, c in lora.changes.items() if n.startswith(f"{lora.names.network}.")}
    return Lora(lora.names, lora.layout, "", own, lora.metadata)


def same_numbers(one: Lora, other: Lora) -> bool:
    return one.changes.keys() == other.changes.keys() and all(
        c.folded().same_as(other.changes[name].folded()) for name, c in one.changes.items()
    )


# --- there and back


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_there_and_back(tmp_path: Path, family: str, layout: str) -> None:
    names = names_of(family)
    lora = random_lora(names, scale=1 / 3)
    if layout == "peft":
        lora = without_text_encoders(lora)
    if layout not in available(names):
        with pytest.raises(InputError, match="no such layout"):
            write_layout(tmp_path / "it", lora, layout)
        return
    path = tmp_path / f"{layout}.safetensors"
    write_layout(path, lora, layout)
    read = read_any(path, all_names())  # no one says which family it is
    assert read.names.family == family and layout in (read.layout, "bfl")
    far, largest = compare(lora.changes, read.changes)
    assert far <= 3e-7 * largest
    assert set(read.scales) == {1.0} and read.ranks == [RANK]
    done = convert(path, tmp_path / "back.safetensors", "diffusers", [names])
    assert done.difference == 0 and same_numbers(done.after, lora)


@pytest.mark.parametrize("kind", ["LoRA", "LoHa", "LoKr"])
@pytest.mark.parametrize("family", ["flux2", "qwen_image", "z_image", "sdxl"])
def test_other_networks_there_and_back(tmp_path: Path, family: str, kind: Kind) -> None:
    """DoRA, LoHa, LoKr: exact, or refused where the layout joins layers that LoKr cannot join."""
    names = names_of(family)
    lora = random_lora(names, kind, dora=kind == "LoRA", scale=0.5)
    refused: set[str] = set()
    for layout in set(available(names)) - {"peft"}:
        path = tmp_path / f"{layout}.safetensors"
        try:
            write_layout(path, lora, layout)
        except InputError as e:
            assert "LoKr" in str(e) and "--to diffusers" in str(e) and not path.exists()
            refused.add(layout)
            continue
        read = read_any(path, all_names(), family)
        assert compare(lora.changes, read.changes)[0] == 0 and same_numbers(read, lora), layout
    joined = {"flux2": {"comfyui", "bfl", "kohya"}, "z_image": {"bfl"}}
    assert refused == (joined.get(family, set()) if kind == "LoKr" else set())


def test_what_each_layout_writes(tmp_path: Path) -> None:
    names = names_of("z_image")
    r = Numbers()
    changes = {f"transformer.layers.3.attention.to_{x}": r.change(UNIT, scale=0.5) for x in "qkv"}
    lora = Lora(names, "diffusers", "", changes, random_lora(names).metadata)
    written: dict[str, Tensors] = {}
    metadata: dict[str, dict[str, str]] = {}
    for layout in LAYOUTS:
        path = tmp_path / layout / "it.safetensors"
        write_layout(path, lora, layout)
        written[layout] = load_file(path)
        with safe_open(path, "pt") as f:
            metadata[layout] = f.metadata()
    qkv = [f"layers.3.attention.to_{x}" for x in "qkv"]
    ends = {n: {f"{n}.lora_A.weight", f"{n}.lora_B.weight"} for n in qkv}
    assert set(written["diffusers"]) == {f"transformer.{k}" for n in qkv for k in ends[n]}
    assert set(written["comfyui"]) == {f"diffusion_model.{k}" for n in qkv for k in ends[n]}
    assert set(written["peft"]) == {f"base_model.model.{k}" for n in qkv for k in ends[n]}
    fused = "diffusion_model.layers.3.attention.qkv"
    assert {k: tuple(w.shape) for k, w in written["bfl"].items()} == {
        f"{fused}.lora_A.weight": (3 * RANK, 5), f"{fused}.lora_B.weight": (3 * UNIT, 3 * RANK),
    }  # fmt: skip
    flat = {f"lora_unet_layers_3_attention_to_{x}" for x in "qkv"}
    assert set(written["kohya"]) == {
        f"{n}.{end}" for n in flat for end in ("lora_down.weight", "lora_up.weight", "alpha")
    }
    assert all(float(w) == RANK for k, w in written["kohya"].items() if k.endswith(".alpha"))
    for said in metadata.values():
        assert said["modelspec.title"] == "maya" and json.loads(said["likeness"])["name"] == "maya"
        assert "sshs_model_hash" not in said  # it was of the other file
    told = {k: v["modelspec.implementation"] for k, v in metadata.items()}
    assert told == {"diffusers": "diffusers", "peft": "peft", "comfyui": "comfyui", "bfl": "original", "kohya": "kohya"}
    assert metadata["kohya"]["ss_network_dim"] == metadata["kohya"]["ss_network_alpha"] == str(RANK)
    adapter = json.loads(metadata["diffusers"]["lora_adapter_metadata"])
    assert adapter["transformer.r"] == adapter["transformer.lora_alpha"] == RANK
    assert all("lora_adapter_metadata" not in metadata[layout] for layout in LAYOUTS if layout != "diffusers")
    config = json.loads((tmp_path / "peft" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["peft_type"]) == (RANK, RANK, "LORA")


def test_layers_of_several_ranks(tmp_path: Path) -> None:
    """`proj_out` must not lend its rank to the single blocks' `proj_out`."""
    r = Numbers()
    ranks = {"proj_out": 2, "single_transformer_blocks.0.proj_out": 3, "single_transformer_blocks.1.proj_out": 3}
    changes = {
        f"transformer.{n}": Change("LoRA", {"lora_A": r(k, 5), "lora_B": r(UNIT, k)}, 2.0) for n, k in ranks.items()
    }
    lora = Lora(names_of("flux1"), "diffusers", "", changes, {})
    for layout in ("diffusers", "peft"):
        write_layout(tmp_path / "it.safetensors", lora, layout)
        assert same_numbers(read_any(tmp_path / "it.safetensors", [lora.names]), lora)


# --- alpha, wherever it stands

A, B = Numbers(1)(RANK, 5), Numbers(2)(UNIT, RANK)


def pair(stem: str, down: str = ".lora_A.weight", up: str = ".lora_B.weight", alpha: float | None = None) -> Tensors:
    tensors = {stem + down: A, stem + up: B}
    return tensors if alpha is None else tensors | {f"{stem}.alpha": torch.tensor(alpha)}


def adapter(**values: object) -> dict[str, str]:
    return {"lora_adapter_metadata": json.dumps({f"transformer.{k}": v for k, v in values.items()})}


FLAT = LAYER.replace(".", "_")
OURS = f"transformer.{LAYER}"
KOHYA = (".lora_down.weight", ".lora_up.weight")
READ: dict[str, tuple[Tensors, dict[str, str], str, float]] = {
    "without alpha": (pair(OURS), {}, "diffusers", 1),
    "alpha in metadata": (pair(OURS), adapter(r=4, lora_alpha=8), "diffusers", 2),
    "rank and alpha of a layer's own": (
        pair(OURS),
        adapter(r=9, lora_alpha=1, rank_pattern={"attn.to_k": 4}, alpha_pattern={r".*to_[kv]": 12}),
        "diffusers", 3,
    ),
    "patterns of other layers": (
        pair(OURS),
        adapter(r=4, lora_alpha=8, alpha_pattern={"to_q": 100, "n.to_k": 50}),
        "diffusers", 2,
    ),
    "rank-stabilised": (pair(OURS), adapter(r=4, lora_alpha=8, use_rslora=True), "diffusers", 4),
    "alpha tensors": (pair(OURS, alpha=2.0), {}, "diffusers", 0.5),
    "ComfyUI": (pair(f"diffusion_model.{LAYER}", *KOHYA, alpha=8.0), {}, "comfyui", 2),
    "kohya": (pair(f"lora_unet_{FLAT}", *KOHYA, alpha=6.0), {"ss_network_alpha": "77"}, "kohya", 1.5),
    "kohya without alpha": (pair(f"lora_unet_{FLAT}", *KOHYA), {"ss_network_alpha": "77"}, "kohya", 1),
    "OneTrainer": (pair(f"lora_transformer_{FLAT}", *KOHYA, alpha=8.0), {}, "onetrainer", 2),
    "LyCORIS": (pair(f"lycoris_{FLAT}", *KOHYA, alpha=8.0), {}, "lycoris", 2),
    "PEFT": (pair(f"base_model.model.{LAYER}"), {}, "peft", 1),
    "DiffSynth": (pair(LAYER, ".lora_A.default.weight", ".lora_B.default.weight"), {}, "diffsynth", 1),
    "no prefix": (pair(LAYER), {}, "bare", 1),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_alpha_is_found_wherever_it_stands(tmp_path: Path, case: str) -> None:
    tensors, metadata, layout, scale = READ[case]
    save(tensors, tmp_path / "it.safetensors", metadata)
    lora = read_any(tmp_path / "it.safetensors", [names_of("qwen_image")])
    ((name, change),) = lora.changes.items()
    assert (name, lora.layout, change.scale) == (f"transformer.{LAYER}", layout, scale)
    assert torch.equal(change.delta(), scale * (B.float() @ A.float()))


def test_alpha_of_a_peft_folder(tmp_path: Path) -> None:
    save(pair(f"base_model.model.{LAYER}"), tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 4, "lora_alpha": 16, "peft_type": "LORA"}))
    assert read_any(tmp_path / "adapter_model.safetensors", [names_of("qwen_image")]).scales == [4.0]


def test_lokr_of_whole_factors_has_no_scale(tmp_path: Path) -> None:
    r = Numbers()
    stem = f"lycoris_{FLAT}"
    save({f"{stem}.lokr_w1": r(2, 1), f"{stem}.lokr_w2": r(3, 5), f"{stem}.alpha": torch.tensor(1e9)}, tmp_path / "a")
    save({f"{stem}.lokr_w1": r(2, 1), f"{stem}.lokr_w2_a": r(3, 2), f"{stem}.lokr_w2_b": r(2, 5),
               f"{stem}.alpha": torch.tensor(8.0)}, tmp_path / "b")  # fmt: skip
    assert [read_any(tmp_path / n, [names_of("qwen_image")]).scales for n in "ab"] == [[1.0], [4.0]]


def test_text_encoders_under_their_old_and_new_names(tmp_path: Path) -> None:
    """CLIPTextModel of transformers 5 has no `text_model` any more."""
    unet = pair("lora_unet_down_blocks_1_attentions_0_proj_in", *KOHYA)
    for stem in ("lora_te1_text_model_encoder_layers_2_mlp_fc1", "lora_te_encoder_layers_2_mlp_fc1"):
        save(unet | pair(stem, *KOHYA, alpha=8.0), tmp_path / "it.safetensors")
        lora = read_any(tmp_path / "it.safetensors", [names_of("sdxl")])
        assert lora.changes["text_encoder.text_model.encoder.layers.2.mlp.fc1"].scale == 2


def test_fp8_is_read_exactly(tmp_path: Path) -> None:
    tensors = {k: w.to(torch.float8_e4m3fn) for k, w in pair(f"diffusion_model.{LAYER}").items()}
    save(tensors, tmp_path / "it.safetensors")
    change = read_any(tmp_path / "it.safetensors", [names_of("qwen_image")]).changes[f"transformer.{LAYER}"]
    assert all(w.dtype == torch.float16 for w in change.factors.values())
    eight = {k[-13:-7]: w.float() for k, w in tensors.items()}
    assert torch.equal(change.delta(), eight["lora_B"] @ eight["lora_A"])


# --- whose layers are these


@pytest.mark.parametrize(
    ("metadata", "blocks", "family"),
    [
        ({}, 60, "qwen_image"), ({}, 32, "qwen_image_21"), ({}, 19, "flux1"), ({}, 8, "flux2"), ({}, 28, "krea2"),
        ({"modelspec.architecture": "Flux.2-klein-9b"}, 1, "flux2"),
        ({"modelspec.architecture": "Qwen-Image-Edit-2511/lora"}, 28, "qwen_image"),
        ({"ss_base_model_version": "flux1"}, 60, "flux1"),
        ({"ss_network_module": "networks.lora_flux_2"}, 1, "flux2"),
        ({"ss_network_module": "networks.lora_flux"}, 1, "flux1"),
    ],
)  # fmt: skip
def test_families_with_the_same_names_are_told_apart(
    tmp_path: Path, metadata: dict[str, str], blocks: int, family: str
) -> None:
    save(pair(f"transformer.transformer_blocks.{blocks - 1}.attn.to_k"), tmp_path / "it.safetensors", metadata)
    assert read_any(tmp_path / "it.safetensors", all_names()).names.family == family


def test_otherwise_the_user_is_asked(tmp_path: Path) -> None:
    save(pair(OURS), tmp_path / "it.safetensors")
    with pytest.raises(InputError, match=r"may be of .*flux2.*qwen_image.* --base"):
        read_any(tmp_path / "it.safetensors", all_names())


# --- what cannot be understood


def bad_values() -> Tensors:
    return pair(OURS) | {f"{OURS}.lora_B.weight": torch.full((6, 4), float("nan"))}


REFUSED: dict[str, tuple[Tensors, dict[str, str], str]] = {
    "bias": (pair(OURS) | {f"{OURS}.lora_B.bias": B}, {}, r"to_k\.lora_B\.bias.* not understood"),
    "full difference": ({f"diffusion_model.{LAYER}.diff": B}, {}, r"to_k\.diff.* not understood"),
    "Tucker": (pair(f"lora_unet_{FLAT}", *KOHYA) | {f"lora_unet_{FLAT}.lora_mid.weight": B}, {}, "lora_mid"),
    "OFT": ({f"lora_unet_{FLAT}.oft_blocks": B}, {}, "oft_blocks"),
    "no such layer": (pair("transformer.transformer_blocks.0.attn.to_w"), {}, r"to_w.* not of family qwen_image"),
    "another network": (pair(f"unet.{LAYER}"), {}, "not of family"),
    "a text encoder that none has": (pair("text_encoder.text_model.encoder.layers.0.mlp.fc1"), {}, "not of family"),
    "one half": ({f"{OURS}.lora_A.weight": A}, {}, "expected lora_A and lora_B"),
    "alpha alone": ({f"{OURS}.alpha": torch.tensor(1.0)}, {}, "no factors"),
    "half a LoKr": ({f"{OURS}.lokr_w1": A}, {}, "expected lora_A and lora_B"),
    "two kinds": (pair(OURS) | {f"{OURS}.lokr_w1": A}, {}, "expected lora_A"),
    "two layouts": (pair(OURS) | pair(f"lora_unet_{FLAT}", *KOHYA), {}, "several layouts"),
    "twice": (pair(f"lora_unet_{FLAT}") | pair(f"lora_unet_{FLAT}", *KOHYA), {}, "twice"),
    "both namings": (pair(f"diffusion_model.{LAYER}") | pair(f"diffusion_model.{FLAT}"), {}, "changed twice"),
    "factors that do not fit": (pair(OURS) | {f"{OURS}.lora_B.weight": B[:, :3]}, {}, "do not fit"),
    "NaN": (bad_values(), {}, r"lora_B\.weight' has values that are not finite"),
    "integers": ({k: w.int() for k, w in pair(OURS).items()}, {}, "holds torch.int32"),
    "alpha of two values": (pair(OURS) | {f"{OURS}.alpha": torch.ones(2)}, {}, "2 values"),
    "magnitude": (pair(OURS) | {f"{OURS}.dora_scale": torch.ones(1, 5)}, {}, "magnitude of 5"),
    "another rank": (pair(OURS), adapter(r=8, lora_alpha=8), "has rank 4, .* says 8"),
    "metadata": (pair(OURS), {"lora_adapter_metadata": "{"}, "is not JSON"),
    "metadata without numbers": (pair(OURS), adapter(r="4"), "expected numbers"),
    "a pattern": (pair(OURS), adapter(r=4, lora_alpha=4, alpha_pattern={"(": 1}), "pattern"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_understood_is_refused_in_words(tmp_path: Path, case: str) -> None:
    tensors, metadata, words = REFUSED[case]
    path = tmp_path / "it.safetensors"
    save(tensors, path, metadata)
    with pytest.raises(InputError, match=words) as caught:
        read_any(path, [names_of("qwen_image")])
    assert str(path) in str(caught.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    for name, content in (("empty", b""), ("odd", b"\xff" * 64)):
        (tmp_path / name).write_bytes(content)
    save({}, tmp_path / "none")
    for name in ("missing", "empty", "odd", "none"):
        with pytest.raises(InputError, match=str(tmp_path / name)):
            read_any(tmp_path / name, all_names())


def test_a_text_encoder_has_no_place_in_a_peft_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"text encoder.* --to diffusers"):
        write_layout(tmp_path / "it.safetensors", random_lora(names_of("sdxl")), "peft")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("family", ["flux2", "z_image", "sdxl"])
def test_damaged_names_never_pass(tmp_path: Path, family: str) -> None:
    """A key that is dropped or renamed is told; it is never left out of the result."""
    names = names_of(family)
    dice = random.Random(0)
    for layout in ("diffusers", "comfyui", "kohya"):
        write_layout(tmp_path / "whole", random_lora(names), layout)
        tensors = load_file(tmp_path / "whole")
        keys = sorted(k for k in tensors if not k.endswith(".alpha"))
        for _ in range(12):
            key = dice.choice(keys)
            damaged = dict(tensors)
            w = damaged.pop(key)
            if dice.random() < 0.7:
                at = dice.randrange(len(key) + 1)
                damaged[key[:at] + dice.choice("xyz.") + key[at:]] = w
            save(damaged, tmp_path / "damaged")
            with pytest.raises(InputError):
                read_any(tmp_path / "damaged", [names])


# --- converting


def differ(one: object, other: object) -> tuple[float, float]:
    return 0.1, 1.0


def test_a_conversion_is_checked_before_the_file_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = names_of("flux2")
    write_layout(tmp_path / "a.safetensors", random_lora(names), "kohya")
    monkeypatch.setattr(layouts, "compare", differ)
    with pytest.raises(RuntimeError, match=r"differs by 0\.1"):
        convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", "diffusers", [names])
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]
