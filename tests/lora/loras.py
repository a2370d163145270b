"""Random LoRAs for a few layers, or for every layer that a family's table names."""

from collections.abc import Iterator

import torch

from likeness.lora.change import Change, Kind
from likeness.lora.layouts import Lora
from likeness.lora.names import Names
from likeness.worker.converting import known_names

# Which table is in which family's file.
FAMILIES = {
    "flux2": "flux2", "flux3": "flux3", "flux1": "flux1", "qwen_image": "qwen_image",
    "qwen_image_21": "qwen_image_21", "z_image": "z_image", "krea2": "krea2",
    "sdxl": "stable_diffusion", "sd15": "stable_diffusion",
}  # fmt: skip
RANK, INPUTS, UNIT = 4, 5, 6


def names_of(family: str) -> Names:
    return next(n for n in known_names(FAMILIES[family]) if n.family == family)


def all_names() -> list[Names]:
    return known_names(*dict.fromkeys(FAMILIES.values()))


def layer_names(names: Names) -> Iterator[tuple[str, int]]:
    """Every layer of the network, with two blocks of each kind, and its outputs."""
    for layer in names.layers:
        for number in "01" if "{i}" in layer.parts[0] else "0":
            for part, share in zip(layer.parts, layer.shares, strict=True):
                yield part.replace("{i}", number), UNIT * share


class Numbers:
    """Reproducible random tensors, fp16 as in most files."""

    def __init__(self, seed: int = 0):
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=self.generator).half()

    def change(self, outputs: int, kind: Kind = "LoRA", *, dora: bool = False, scale: float = 1.0) -> Change:
        r = self
        factors = {
            "LoRA": lambda: {"lora_A": r(RANK, INPUTS), "lora_B": r(outputs, RANK)},
            "LoHa": lambda: {
                "hada_w1_a": r(outputs, RANK), "hada_w1_b": r(RANK, INPUTS),
                "hada_w2_a": r(outputs, RANK), "hada_w2_b": r(RANK, INPUTS),
            },
            "LoKr": lambda: {"lokr_w1": r(2, 1), "lokr_w2_a": r(outputs // 2, RANK), "lokr_w2_b": r(RANK, INPUTS)},
        }[kind]()  # fmt: skip
        return Change(kind, factors, scale, r(outputs).abs() if dora else None)


def random_lora(names: Names, kind: Kind = "LoRA", *, dora: bool = False, scale: float = 1.0) -> Lora:
    """A change for every layer; text encoders too, except in a LoKr or LoHa."""
    numbers = Numbers()
    changes = {
        f"{names.network}.{name}": numbers.change(outputs, kind, dora=dora, scale=scale)
        for name, outputs in layer_names(names)
    }
    if names.network == "unet":
        conv = Change("LoRA", {"lora_A": numbers(RANK, INPUTS, 3, 3), "lora_B": numbers(UNIT, RANK, 1, 1)}, scale)
        changes["unet.down_blocks.0.resnets.0.conv1"] = conv
    for encoder in names.text_encoders:
        for name in ("self_attn.q_proj", "mlp.fc1"):
            changes[f"{encoder.prefix}.text_model.encoder.layers.0.{name}"] = numbers.change(UNIT, scale=scale)
    metadata = {"modelspec.title": "maya", "modelspec.implementation": "diffusers", "ss_network_dim": "99"}
    return Lora(names, "diffusers", "", changes, metadata | {"likeness": '{"name": "maya"}', "sshs_model_hash": "old"})
