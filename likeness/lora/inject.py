"""Put a trainable LoRA into frozen networks and get its weights in and out.

PEFT's layers are plain "base + scaled product": nothing hides in them. Weights are named as in the file:
`<prefix>.<layer>.lora_A.weight` (rank, in), `.lora_B.weight` (out, rank), `.lokr_w1`, `.hada_w1_a` and so on.
"""

import math
import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from peft import inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from likeness.errors import InputError
from likeness.functional.randomness import derived_seed
from likeness.lora.kinds import Size, Type, exactly, peft_config, sized

Networks = Mapping[str, nn.Module]  # by the prefix of their keys in files
TRAINED = "default"
_NAME = re.compile(rf"(.+\.)((?:lora|lokr|hada)_\w+)\.{TRAINED}(\.weight)?")


def inject(
    networks: Networks,
    layers: Mapping[str, Size],
    kind: Type,
    *,
    dropout: float,
    seed: int,
    device: torch.device | None = None,
) -> None:
    """Add a LoRA of type `kind`, in fp32 on `device`, to `layers` (by `<prefix>.<layer>`).

    Each weight starts as a function of `seed` and its own name alone, and so that no output is changed at first.
    Raises InputError where the type does not go with a layer of this base.
    """
    check_weights(networks, layers, kind)
    for prefix, network in networks.items():
        own = {name.removeprefix(f"{prefix}."): size for name, size in layers.items() if name.startswith(f"{prefix}.")}
        if own:
            add_layers(network, sized(peft_config(kind, exactly(own), dropout), own), TRAINED)
    for name, p in trainable(networks).items():
        p.data = p.data.float()
        if "magnitude" not in name and p.any():  # what PEFT starts at zero stays so
            generator = torch.Generator().manual_seed(derived_seed(seed, name))
            p.data.copy_(nn.init.kaiming_uniform_(torch.empty(p.shape), a=math.sqrt(5), generator=generator))
    _measure_magnitudes(networks)
    for p in trainable(networks).values():
        p.data = p.data.to(device)  # PEFT put it beside the base's weight, which may wait elsewhere
    let_ours_learn(networks)


def _measure_magnitudes(networks: Networks) -> None:
    """Of DoRA, in fp32: PEFT measured them in the base's precision, where the first output would differ already."""
    for layer in tuned_layers(networks):
        if isinstance(layer, LoraLayer) and TRAINED in layer.lora_magnitude_vector:
            vector: Any = layer.lora_magnitude_vector[TRAINED]
            a, b = layer.lora_A[TRAINED].weight, layer.lora_B[TRAINED].weight
            scaling = layer.scaling[TRAINED]
            vector.update_layer(base_layer=layer.get_base_layer(), lora_A=a, lora_B=b, scaling=scaling)


def add_layers(network: nn.Module, config: Any, name: str) -> None:
    """PEFT's own injection, which leaves random numbers and the other LoRAs of the network alone."""
    if hasattr(network, "peft_config"):
        del network.peft_config  # PEFT compares types of all LoRAs there; ours may differ
    with torch.random.fork_rng(devices=[]):
        inject_adapter_in_model(config, network, adapter_name=name)
    for layer in tuned_layers({"": network}):
        base: Any = layer.get_base_layer()
        if isinstance(base, nn.Conv2d):
            layer.groups = base.groups  # PEFT asks for it where a LoRA comes over a LoKr or LoHa


def check_weights(networks: Networks, names: Iterable[str], kind: Type) -> None:
    """PEFT computes with the base's weights for some types: it needs their plain shape for a LoKr or LoHa, their
    numbers for a DoRA. Raises InputError naming the first of the layers `names` that are packed otherwise."""
    if kind in ("lora", "rslora"):
        return
    for name in names:
        base: Any = layer_at(networks, name)
        if isinstance(base, nn.Linear):
            plain = tuple(base.weight.shape) == (base.out_features, base.in_features)
            if not plain or (kind == "dora" and not base.weight.is_floating_point()):
                raise InputError(
                    f"a LoRA of type '{kind}' does not go with {name}, whose weight is packed. "
                    "Fix: hardware.quantize: none, or for training lora.type: lora"
                )


def sizes(networks: Networks) -> dict[str, Size]:
    """Of the trained LoRA, by `<prefix>.<layer>`."""
    found: dict[str, Size] = {}
    for prefix, network in networks.items():
        for name, module in network.named_modules():
            layer: Any = module
            if isinstance(module, BaseTunerLayer) and TRAINED in layer.scaling:
                alpha = layer.lora_alpha if isinstance(layer, LoraLayer) else layer.alpha
                found[f"{prefix}.{name.replace('.base_layer', '')}"] = Size(layer.r[TRAINED], alpha[TRAINED])
    return found


def trainable(networks: Networks) -> dict[str, nn.Parameter]:
    """The trained weights by file name, in a fixed order."""
    found: dict[str, nn.Parameter] = {}
    for prefix, network in networks.items():
        for name, p in network.named_parameters():
            if match := _NAME.fullmatch(name.replace(".base_layer.", ".")):
                layer, factor, ending = match.groups()
                end = ending if ending and "magnitude" not in factor else ""
                found[f"{prefix}.{layer}{factor}{end}"] = p
    return dict(sorted(found.items()))


@torch.no_grad()
def load(networks: Networks, weights: Mapping[str, Tensor]) -> None:
    """Copy weights (as `trainable` names them) into the injected layers. Raises KeyError if one is missing."""
    for name, p in trainable(networks).items():
        p.copy_(weights[name])


@contextmanager
def swapped(networks: Networks, weights: Mapping[str, Tensor] | None) -> Generator[None]:
    """Use other weights (an average, say) for a while; None changes nothing."""
    if weights is None:
        yield
        return
    kept = {n: p.detach().clone() for n, p in trainable(networks).items()}
    load(networks, weights)
    try:
        yield
    finally:
        load(networks, kept)


@contextmanager
def disabled(networks: Networks, name: str | None = None) -> Generator[None]:
    """The untrained base model, for a while; or all but the LoRA `name`."""
    before = [(layer, list(layer.active_adapters)) for layer in tuned_layers(networks)]
    for layer, active in before:
        layer.set_adapter([n for n in active if n != name] if name else [])
    let_ours_learn(networks)
    try:
        yield
    finally:
        for layer, active in before:
            layer.set_adapter(active)
        let_ours_learn(networks)


def activate(networks: Networks, names: Sequence[str]) -> None:
    """The LoRAs of these names, in this order, and no others; at the strengths that they have."""
    for layer in tuned_layers(networks):
        layer.set_adapter([name for name in names if name in layer.scaling])
    let_ours_learn(networks)


def tuned_layers(networks: Networks) -> Iterator[Any]:
    """PEFT's layers, in all networks."""
    for network in networks.values():
        yield from (m for m in network.modules() if isinstance(m, BaseTunerLayer))


def strip(networks: Networks) -> None:
    """Take all LoRAs off: the networks are as they were loaded."""
    for network in networks.values():
        for name, layer in [(n, m) for n, m in network.named_modules() if isinstance(m, BaseTunerLayer)]:
            if ".base_layer" not in name:  # a LoRA over another comes off with it
                network.set_submodule(name, layer.get_base_layer())
        if hasattr(network, "peft_config"):
            del network.peft_config


def layer_at(networks: Networks, full_name: str) -> nn.Module | None:
    """The base's own layer called `<prefix>.<layer>`; None where there is none."""
    prefix, _, name = full_name.partition(".")
    try:
        found: Any = networks[prefix].get_submodule(name)
    except (KeyError, AttributeError):
        return None
    found = found.get_base_layer() if isinstance(found, BaseTunerLayer) else found
    return found if isinstance(found, nn.Linear | nn.Conv2d) else None


def let_ours_learn(networks: Networks) -> None:
    """Gradients for the trained LoRA and nothing else: PEFT sets them anew whenever LoRAs are switched."""
    for network in networks.values():
        network.requires_grad_(False)
    for p in trainable(networks).values():
        p.requires_grad_(True)
