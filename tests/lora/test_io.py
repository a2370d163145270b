import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from likeness.errors import InputError
from likeness.lora.io import LoraInfo, read_lora, write_lora
from likeness.lora.kinds import Size
from likeness.worker import training
from tests.tiny_run import leftovers

INFO = LoraInfo("maya", "starter", "maya_char", 4, 3, 60, {"modelspec.title": "maya", "ss_epoch": "3"})


def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "transformer.layer.lora_A.weight": torch.randn(4, 6), "transformer.layer.lora_B.weight": torch.randn(5, 4),
    }  # fmt: skip


def write(path: Path, alpha: float = 2.0, **changed: torch.Tensor) -> None:
    write_lora(path, weights() | changed, {"transformer.layer": Size(4, alpha)}, info=INFO, targets="all")


def metadata_of(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as f:
        return f.metadata()


def test_the_scale_is_folded_in_so_that_readers_who_ignore_alpha_are_right_too(tmp_path: Path) -> None:
    write(tmp_path / "lora.safetensors", alpha=2.0)
    tensors = load_file(tmp_path / "lora.safetensors")
    assert set(tensors) == {"transformer.layer.lora_A.weight", "transformer.layer.lora_B.weight"}
    assert all(t.dtype == torch.float16 for t in tensors.values())
    product = tensors["transformer.layer.lora_B.weight"].float() @ tensors["transformer.layer.lora_A.weight"].float()
    ours = weights()
    assert torch.allclose(
        product,
        2 / 4 * ours["transformer.layer.lora_B.weight"] @ ours["transformer.layer.lora_A.weight"],
        rtol=2e-3,
        atol=2e-3,
    )
    adapter = json.loads(metadata_of(tmp_path / "lora.safetensors")["lora_adapter_metadata"])
    assert adapter["transformer.r"] == adapter["transformer.lora_alpha"] == 4


def test_it_is_read_back(tmp_path: Path) -> None:
    write(tmp_path / "lora.safetensors")
    tensors, info = read_lora(tmp_path / "lora.safetensors")
    assert info == INFO
    assert {n: t.shape for n, t in tensors.items()} == {
        "transformer.layer.lora_A.weight": (4, 6), "transformer.layer.lora_B.weight": (5, 4),
    }  # fmt: skip


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    for name in "abcd":
        write(tmp_path / name)
    assert len({p.read_bytes() for p in tmp_path.iterdir()}) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 70000.0])
def test_what_is_not_finite_in_fp16_is_never_written(tmp_path: Path, value: float) -> None:
    path = tmp_path / "lora.safetensors"
    write(path)
    before = path.read_bytes()
    broken = weights()["transformer.layer.lora_A.weight"]
    broken[1, 2] = value
    with pytest.raises(ValueError, match=r"layer\.lora_A\.weight is not finite"):
        write(path, **{"transformer.layer.lora_A.weight": broken})
    assert path.read_bytes() == before and leftovers(tmp_path) == []


def test_a_file_of_others_is_read_without_a_description(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"lora_unet_x.lora_down.weight": torch.ones(2, 2)}, path, {"likeness": "not JSON"})
    tensors, info = read_lora(path)
    assert list(tensors) == ["lora_unet_x.lora_down.weight"] and info is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such LoRA file"),
        (b"", "not a readable safetensors file"),
        (b"PK\x03\x04 a zip, a checkpoint of old", "not a readable safetensors file"),
        (b"\xff" * 64, "not a readable safetensors file"),
        ("base", "holds no LoRA weights"),
        ("cut", "not a readable safetensors file"),
    ],
)
def test_other_files_are_refused_in_words(tmp_path: Path, content: bytes | str | None, words: str) -> None:
    path = tmp_path / "it.safetensors"
    if content == "base":
        save_file({"transformer.weight": torch.ones(2)}, path)
    elif content == "cut":
        write(path)
        path.write_bytes(path.read_bytes()[:-8])
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_lora(path)
    assert str(path) in str(caught.value)


def test_an_epochs_file_says_what_it_is(make_run: Callable[..., Path]) -> None:
    run = make_run("maya", trigger="tiny_char", description="a note", train__seed=7)
    assert training.run(run) == 0
    path = run / "checkpoints" / "epoch-002.safetensors"
    metadata = metadata_of(path)
    frozen = json.loads((run / "run.json").read_text())
    expected = {
        "format": "pt",
        "likeness_config_sha256": frozen["digest"],
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.implementation": "diffusers",
        "modelspec.trigger_phrase": "tiny_char",
        "modelspec.description": "a note",
        "modelspec.resolution": "32x32",
        "ss_output_name": "maya",
        "ss_network_dim": "4",
        "ss_network_alpha": "4",
        "ss_learning_rate": "0.01",
        "ss_optimizer": "adamw",
        "ss_seed": "7",
        "ss_num_train_images": "3",
        "ss_num_epochs": "2",
        "ss_epoch": "2",
        "ss_steps": "12",
    }
    assert expected.items() <= metadata.items()
    assert "lora" in metadata["modelspec.architecture"] and "maya" in metadata["modelspec.title"]
    assert all(isinstance(v, str) for v in metadata.values())
    adapter = json.loads(metadata["lora_adapter_metadata"])
    assert set(adapter) == {"transformer.r", "transformer.lora_alpha", "transformer.target_modules"}
    _, info = read_lora(path)
    assert info is not None
    assert (info.name, info.trigger, info.rank, info.epoch, info.step) == ("maya", "tiny_char", 4, 2, 12)
