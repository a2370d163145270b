"""Put finished LoRA files on a base model's networks, each at its own strength."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from likeness.errors import InputError
from likeness.lora.change import Change
from likeness.lora.inject import Networks, activate, add_layers, check_weights, layer_at, let_ours_learn, tuned_layers
from likeness.lora.kinds import Type, exactly, peft_config
from likeness.lora.layouts import read_any
from likeness.lora.names import Layer, Names, TextEncoder
from likeness.lora.targets import layer_names


def add_file(networks: Networks, path: Path, name: str, known: Sequence[Names] = ()) -> None:
    """Add a LoRA file of any type and layout under `name`, at strength 1. It is not trained.

    `known`: the families whose names it may use. Raises InputError where it is broken, or speaks of a layer that the
    networks lack or that has another shape.
    """
    add_changes(networks, read_changes(networks, path, known), name)


def read_changes(networks: Networks, path: Path, known: Sequence[Names] = ()) -> dict[str, Change]:
    """What a file changes, by `<prefix>.<layer>` as the networks call their layers."""
    try:  # their own names first: a family's table need not list every layer
        found = read_any(path, [_names_of(networks)])
    except InputError:
        if not known:
            raise
        found = read_any(path, known)
    changes = {_as_here(networks, name): change for name, change in found.changes.items()}
    if missing := [name for name in changes if layer_at(networks, name) is None]:
        here = ", ".join(networks)
        raise InputError(f"{path}: this base has no layer {missing[0]} (looked at: {here}). Fix: use its own base")
    return changes


def _names_of(networks: Networks) -> Names:
    """A table of the layers that are there, under the names that they have."""
    denoiser, *encoders = networks
    layers = [Layer((name,), name) for name in layer_names(networks[denoiser])]
    return Names(
        denoiser,
        layers,
        network=denoiser,
        text_encoders=tuple(TextEncoder(e, f"lora_te{n}", f"text_encoders.{e}") for n, e in enumerate(encoders, 1)),
    )


def _as_here(networks: Networks, name: str) -> str:
    """transformers 5.6 took `text_model` out of CLIP's names; files have it or not."""
    prefix, _, layer = name.partition(".")
    other = layer.removeprefix("text_model.") if layer.startswith("text_model.") else f"text_model.{layer}"
    if layer_at(networks, name) is None and layer_at(networks, f"{prefix}.{other}") is not None:
        return f"{prefix}.{other}"
    return name


@torch.no_grad()
def add_changes(networks: Networks, changes: Mapping[str, Change], name: str) -> None:
    """Add changes (as from `read_changes`) under `name`, at strength 1. Raises InputError where shapes do not fit."""
    if misfits := [m for full, change in changes.items() if (m := _misfit(networks, full, change))]:
        raise InputError(f"{misfits[0]}. Fix: use the base that it was trained on")
    for prefix, network in networks.items():
        kinds: dict[Type, dict[str, Change]] = {}
        for full, change in changes.items():
            if full.startswith(f"{prefix}."):
                kinds.setdefault(_type(change), {})[full.removeprefix(f"{prefix}.")] = change
        for kind, own in kinds.items():
            check_weights(networks, [f"{prefix}.{layer}" for layer in own], kind)
            add_layers(network, peft_config(kind, exactly(own)), name)
            for layer, change in own.items():
                _fill(network.get_submodule(layer), change.folded(), name)
    let_ours_learn(networks)


def set_strengths(networks: Networks, strengths: Mapping[str, float]) -> None:
    """Activate the named LoRAs at these strengths, in the order of the mapping, and no others. 0 is off."""
    for layer in tuned_layers(networks):
        for name in layer.scaling.keys() & strengths.keys():
            layer.set_scale(name, strengths[name])
    # A DoRA at 0 would still bring the base's weights to its own magnitudes.
    activate(networks, [name for name, strength in strengths.items() if strength != 0])


def _type(change: Change) -> Type:
    if change.kind == "LoRA":
        return "lora" if change.magnitude is None else "dora"
    return "lokr" if change.kind == "LoKr" else "loha"


def _misfit(networks: Networks, full: str, change: Change) -> str:
    """What is wrong with the shape of a change, in words; '' where it fits."""
    outputs, inputs = _shape(layer_at(networks, full))
    if (change.outputs, change.columns) != (outputs, inputs):
        return f"layer {full} has {outputs} outputs and {inputs} inputs, the LoRA {change.outputs} and {change.columns}"
    return ""


def _shape(layer: nn.Module | None) -> tuple[int, int]:
    """Rows and columns of a layer's weight, as if it were a matrix."""
    base: Any = layer
    if isinstance(base, nn.Conv2d):
        return base.out_channels, base.in_channels // base.groups * base.kernel_size[0] * base.kernel_size[1]
    return base.out_features, base.in_features


def _fill(layer: Any, change: Change, name: str) -> None:
    """Replace the weights that PEFT made for `name` by those of a change of scale 1."""
    device = layer.get_base_layer().weight.device

    def ready(w: Tensor, shape: Iterable[int]) -> nn.Parameter:
        return nn.Parameter(w.to(device, torch.float32).reshape(*shape).contiguous(), requires_grad=False)

    if change.kind == "LoRA":
        a, b = (change.factors[f] for f in ("lora_A", "lora_B"))
        rank = a.shape[0]
        old_a, old_b = layer.lora_A[name].weight, layer.lora_B[name].weight
        layer.lora_A[name].weight = ready(a, (rank, *old_a.shape[1:]))
        layer.lora_B[name].weight = ready(b, (old_b.shape[0], rank, *old_b.shape[2:]))
        if change.magnitude is not None:
            vector = layer.lora_magnitude_vector[name]
            vector.weight = ready(change.magnitude, vector.weight.shape)
        return
    for factor in layer.adapter_layer_names:
        if name in getattr(layer, factor):
            del getattr(layer, factor)[name]
    for factor, w in change.factors.items():
        getattr(layer, factor)[name] = ready(w, w.shape)
