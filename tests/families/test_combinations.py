"""Every combination of LoRA type and ways to save memory works, or is refused with the reason before loading."""

from itertools import product
from pathlib import Path

import pytest
import torch

from likeness.catalog import resolve_base
from likeness.config.hardware import HardwareConfig
from likeness.config.load import read_config
from likeness.errors import InputError
from likeness.families import Placement, memory, open_family
from likeness.families.placement import choose_placement
from likeness.families.quantize import FORMATS
from likeness.functional.randomness import normal
from likeness.lora import inject as lora
from likeness.lora.kinds import TYPES, Size, Type
from likeness.lora.targets import Targets, choose_layers
from likeness.train.loader import Batch
from likeness.train.step import losses_at

CPU = torch.device("cpu")
NO_LENGTH = "hardware.quantize: DoRA needs the base's own weights"
NO_SHAPE = "needs weights in their plain shape"
REFUSED = {
    **{("dora", form): NO_LENGTH for form in FORMATS},
    **{(kind, form): NO_SHAPE for kind in ("lokr", "loha") for form in ("nf4", "int4")},
}


def problems(tmp_path: Path, base: Path, **hardware: object) -> str:
    """What reading settings with these values says; '' where they are fine."""
    file = tmp_path / "maya.yaml"
    values = ", ".join(f"{name}: {value}" for name, value in hardware.items() if name != "type")
    kind = hardware.get("type", "lora")
    file.write_text(
        f"name: maya\nbase: {base}\ndata: {{datasets: [photos]}}\nlora: {{type: {kind}}}\nhardware: {{{values}}}\n"
    )
    try:
        read_config(file)
    except InputError as e:
        return str(e)
    return ""


def trains(base: Path, kind: Type, checkpointing: str, **how: object) -> bool:
    """Whether one batch gives a finite loss and gradients."""
    family = open_family(resolve_base(str(base)), Placement(CPU, torch.float32, **how))  # type: ignore[arg-type]
    conditions = family.encode_text(["tiny_char at sea"])
    layers = choose_layers(family.networks, Targets(family.lora_targets("all"), Size(2, 2)))
    lora.inject(family.networks, layers, kind, dropout=0, seed=1)
    denoiser = family.networks["transformer"].train()
    memory.prepare_training(denoiser, family.blocks, checkpointing, compiled=False)
    batch = Batch(normal((1, 16, 2, 2), 1, "x"), [], conditions)
    with memory.attention_for(family.placement), memory.kept_activations(checkpointing, CPU):
        loss = losses_at(family, batch, torch.tensor([0.4]), normal((1, 16, 2, 2), 1, "noise")).mean()
        loss.backward()
    gradients = [w.grad for w in lora.trainable(family.networks).values()]
    return all(g is not None and g.isfinite().all() for g in gradients) and any(
        g is not None and g.any() for g in gradients
    )


@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind != "rslora"])  # a LoRA but for its scale
def test_types_and_ways_to_store_the_base(kind: Type, tiny_base: Path, tmp_path: Path) -> None:
    for form, (checkpointing, offload) in product(("none", *FORMATS), (("none", 0.0), ("all", 0.5))):
        told = problems(tmp_path, tiny_base, type=kind, quantize=form, checkpointing=checkpointing, offload=offload)
        if reason := REFUSED.get((kind, form)):
            assert reason in told
        else:
            assert told == ""
            assert trains(tiny_base, kind, checkpointing, quantize=form, offload=offload), (form, checkpointing)


@pytest.mark.parametrize(
    ("hardware", "reason"),
    [
        ({"offload": 0.5}, "hardware.offload: saves nothing without checkpointing"),
        ({"offload": 0.5, "checkpointing": "blocks", "compile": True}, "hardware.compile: compiled blocks cannot wait"),
    ],
)
def test_settings_that_do_not_go_together(
    hardware: dict[str, object], reason: str, tiny_base: Path, tmp_path: Path
) -> None:
    assert reason in problems(tmp_path, tiny_base, **hardware)


@pytest.mark.parametrize(
    ("hardware", "reason"),
    [
        ({"precision": "fp16"}, "hardware.precision: 'fp16' is too slow on a CPU"),
        ({"offload": 0.5}, "hardware.offload: a CPU has no other memory"),
        *(
            ({"attention": name}, f"hardware.attention: '{name}' needs a CUDA")
            for name in ("flash", "efficient", "cudnn")
        ),
        ({"device": "cuda:99"}, "hardware.device: 'cuda:99' is not there"),
    ],
)
def test_what_this_device_cannot_do_is_refused(hardware: dict[str, object], reason: str) -> None:
    with pytest.raises(InputError) as error:
        choose_placement(HardwareConfig.model_validate({"device": "cpu", **hardware}))
    assert str(error.value).startswith(reason) and "Fix: " in str(error.value)


@pytest.mark.parametrize("attention", ["flash", "cudnn"])
def test_kernels_for_short_numbers_alone(attention: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match=f"'{attention}' computes in bf16 or fp16"):
        choose_placement(HardwareConfig.model_validate({"device": "cuda", "attention": attention, "precision": "fp32"}))
    half = HardwareConfig.model_validate({"device": "cuda", "attention": attention, "precision": "bf16"})
    assert choose_placement(half).attention == attention
