"""What a file is told to be, from its tensors and from the metadata of several programs."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from likeness.errors import InputError
from likeness.lora.inspection import blocks_of, inspect
from likeness.lora.layouts import Lora, write_layout
from tests.lora.loras import all_names, names_of, random_lora


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "it.safetensors"


def write(path: Path, metadata: dict[str, str], layout: str = "diffusers", **how: object) -> Lora:
    lora = random_lora(names_of("flux2"), **how)  # type: ignore[arg-type]
    write_layout(path, Lora(lora.names, layout, "", lora.changes, metadata), layout)
    return lora


def test_of_ours(path: Path) -> None:
    own = {"name": "mika", "base": "starter", "trigger": "mika_char", "rank": 4, "epoch": 7, "step": 70, "type": "lora"}
    tags = json.dumps({"photos": {"smiling": 5, "mika_char": 12}, "more": {"smiling": 4}})
    lora = write(path, {"likeness": json.dumps(own), "ss_learning_rate": "0.001", "ss_tag_frequency": tags})
    found = inspect(path, all_names())
    assert (found.name, found.base, found.trigger, found.family) == ("mika", "starter", "mika_char", "flux2")
    assert found.layout == "diffusers" and found.kinds == {"LoRA": 39} and found.ranks == [4] and found.alphas == [4]
    assert found.settings["learning rate"] == "0.001" and found.tags == {"mika_char": 12, "smiling": 9}
    norms = {name: float(c.delta().norm()) for name, c in lora.changes.items()}
    assert found.norm == pytest.approx(math.hypot(*norms.values()), rel=1e-5)
    block = next(b for b in found.blocks if b.name == "transformer.transformer_blocks.1")
    own_norms = [n for name, n in norms.items() if name.startswith(f"{block.name}.")]
    assert block.layers == len(own_norms) and block.norm == pytest.approx(math.hypot(*own_norms), rel=1e-5)
    assert sum(b.layers for b in found.blocks) == 39 and found.problems == []
    assert found.numbers == {"float16": sum(w.numel() for w in load_file(path).values())}


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (
            {"ss_base_model_version": "flux2", "ss_unet_lr": "1e-4", "ss_network_dim": "4", "ss_max_train_steps": "900",
             "ss_optimizer": "adamw8bit", "ss_output_name": "maya", "ss_sd_model_name": "flux2.safetensors"},
            {"learning rate": "1e-4", "steps": "900", "optimizer": "adamw8bit", "": ("maya", "flux2.safetensors", "")},
        ),
        (
            {"software": '{"name": "ai-toolkit"}', "training_info": '{"step": 500, "epoch": 3}', "name": "x"},
            {"step": "500", "epoch": "3", "software": '{"name": "ai-toolkit"}'},
        ),
        ({"ot_config": '{"learning_rate": 0.0003, "cloud": {"host": "x"}}'}, {"learning rate": "0.0003"}),
        ({"trained_words": '["maya", "maya_char"]'}, {"": ("", "flux2", "maya, maya_char")}),
        ({"modelspec.trigger_phrase": "t", "modelspec.title": "T"}, {"": ("T", "flux2", "t")}),
        ({"ss_tag_frequency": "[broken", "training_info": "[]", "likeness": "{"}, {}),
    ],
)  # fmt: skip
def test_metadata_of_several_programs(path: Path, metadata: dict[str, str], said: dict[str, object]) -> None:
    write(path, metadata, "kohya", scale=0.5)
    found = inspect(path, all_names())
    told = {"": (found.name, found.base, found.trigger), **found.settings}
    assert {key: told[key] for key in said} == said and found.problems == []


def test_of_every_kind(path: Path) -> None:
    for kind, dora, word in (("LoRA", True, "DoRA"), ("LoHa", False, "LoHa"), ("LoKr", False, "LoKr")):
        write(path, {}, kind=kind, dora=dora)
        assert inspect(path, all_names()).kinds == {word: 39}
    write(path, {"likeness": '{"type": "rslora"}'})
    assert inspect(path, all_names()).kinds == {"rsLoRA": 39}


def test_damage_is_told_and_the_rest_described(path: Path) -> None:
    write(path, {})
    tensors = load_file(path)
    names = [k for k in tensors if k.endswith("lora_B.weight")]
    tensors[names[0]][0, 0], tensors[names[1]][0, 0] = math.nan, math.inf
    tensors[names[2]].zero_()
    save_file(tensors, path)
    found = inspect(path, all_names())
    assert (
        found.problems[0].startswith("2 of 78 tensors hold values that are not finite:")
        and names[0] in found.problems[0]
    )
    layer = names[2].removesuffix(".lora_B.weight")
    assert found.problems[1] == f"1 of 37 layers are not changed at all: {layer}"
    assert found.kinds == {"LoRA": 37} and found.norm > 0
    save_file({k: torch.zeros_like(w) for k, w in tensors.items()}, path)
    assert inspect(path, all_names()).problems == ["every layer's change is zero: the LoRA does nothing"]
    save_file({k: torch.full_like(w, math.nan) for k, w in tensors.items()}, path)
    found = inspect(path, all_names())
    assert len(found.problems) == 1 and "78 of 78" in found.problems[0] and found.blocks == [] and found.family == ""


def test_what_cannot_be_understood(path: Path) -> None:
    save_file({"model.layers.0.weight": torch.ones(2, 2)}, path, {"ss_output_name": "odd"})
    found = inspect(path, all_names())
    assert found.name == "odd" and found.family == "" and "not understood" in found.problems[0]
    path.write_bytes(b"junk")
    with pytest.raises(InputError, match="not a readable safetensors file"):
        inspect(path, all_names())


def test_blocks_are_in_the_order_of_the_network() -> None:
    names = {f"unet.up_blocks.{n}.attentions.0.x": 1.0 for n in (10, 2, 1)} | {"unet.conv_in": 3.0}
    names |= {"unet.up_blocks.2.attentions.1.x": 1.0}
    found = blocks_of(names)
    assert [(b.name, b.layers) for b in found] == [
        ("unet.conv_in", 1), ("unet.up_blocks.1", 1), ("unet.up_blocks.2", 2), ("unet.up_blocks.10", 1),
    ]  # fmt: skip
    assert found[2].norm == pytest.approx(math.sqrt(2))
