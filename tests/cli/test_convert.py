"""`likeness convert`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import torch
from safetensors.torch import load_file, save_file

from likeness.lora.keys import LAYOUTS
from likeness.lora.layouts import write_layout
from likeness.service.conversions import Layout
from tests.cli.conftest import Answer
from tests.lora.loras import names_of, random_lora

Likeness = Callable[..., Answer]


@pytest.fixture
def kohya(tmp_path: Path) -> Path:
    """A LoRA for FLUX.2 as others write it, with nothing in it that tells its family but names."""
    path = tmp_path / "mika.safetensors"
    write_layout(path, random_lora(names_of("flux2"), scale=2.0), "kohya")
    tensors = {k: w * 0.5 if k.endswith(".alpha") else w for k, w in load_file(path).items()}
    save_file(tensors, path)
    return path


def test_the_choices_are_the_layouts_that_are_written() -> None:
    assert get_args(Layout) == tuple(LAYOUTS)


def test_a_file_is_converted_and_checked(likeness: Likeness, kohya: Path, tmp_path: Path) -> None:
    answer = likeness("convert", kohya, "--to", "diffusers")
    assert answer.code == 0, answer.words
    written = tmp_path / "mika-diffusers.safetensors"
    read = "kohya: 39 LoRA layers of flux2, rank 4, alpha 2 (.alpha tensors)"
    wrote = "diffusers: 39 LoRA layers of flux2, rank 4, alpha 4 (PEFT metadata)"
    for words in (f"{kohya} {read}", f"{written} {wrote}", "weight change 0"):
        assert words in answer.words, answer.words
    assert all(k.startswith("transformer.") for k in load_file(written))


def test_in_json_and_back(likeness: Likeness, kohya: Path, tmp_path: Path) -> None:
    said = likeness("convert", kohya, "--to", "peft", "--base", "flux2-klein-base-4b", "--json").json
    weights = tmp_path / "mika-peft" / "adapter_model.safetensors"
    assert said["to"]["path"] == str(weights) and said["family"] == "flux2" and said["largest_difference"] == 0
    assert (said["from"]["layout"], said["to"]["layout"], said["from"]["alpha_from"]) == (
        "kohya",
        "peft",
        ".alpha tensors",
    )
    assert json.loads((weights.parent / "adapter_config.json").read_text())["r"] == 4
    # PEFT's folder is taken as one file.
    back = likeness("convert", weights.parent, "--to", "kohya", "--base", "starter", "-o", "back.safetensors", "--json")
    assert back.code == 0, back.words
    one, other = load_file(kohya), load_file(tmp_path / "back.safetensors")
    assert one.keys() == other.keys()
    for key in (k for k in one if k.endswith(".lora_up.weight")):
        down, alpha = key.replace("_up", "_down"), key.replace("lora_up.weight", "alpha")
        changes = [t[key].float() @ t[down].float() * t[alpha] / t[down].shape[0] for t in (one, other)]
        assert torch.equal(*changes), key


def test_nothing_is_replaced_unasked(likeness: Likeness, kohya: Path, tmp_path: Path) -> None:
    there = tmp_path / "there.safetensors"
    there.write_text("mine")
    words = ("convert", kohya, "--to", "bfl", "--base", "starter", "-o")
    refused = likeness(*words, there)
    assert refused.code == 2 and "--force" in refused.error and there.read_text() == "mine"
    assert likeness(*words, there, "--force").code == 0 and len(load_file(there)) > 20
    before = kohya.read_bytes()
    refused = likeness(*words, kohya, "--force")
    assert refused.code == 2 and "the file to be converted" in refused.error and kohya.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere.safetensors", "--to", "kohya"), "no such LoRA file"),
        (("mika.safetensors", "--to", "kohya", "--base", "nothing"), "no base model called 'nothing'"),
        (("mika.safetensors", "--to", "kohya", "-o", "x.ckpt"), ".safetensors"),
        (("mika.safetensors", "--to", "odd"), "odd"),
        (("mika.safetensors", "--to", "diffusers", "--base", "z-image"), "not of family z_image"),
        (("other.safetensors", "--to", "kohya"), "not understood"),
    ],
)
def test_refusals(likeness: Likeness, kohya: Path, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    save_file({"model.layers.0.weight": torch.ones(2, 2)}, tmp_path / "other.safetensors")
    before = sorted(tmp_path.rglob("*"))
    answer = likeness("convert", *arguments)
    assert answer.code == 2 and words in answer.words, answer.words
    assert "Traceback" not in answer.error and sorted(tmp_path.rglob("*")) == before
