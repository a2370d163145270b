"""Every way to save memory leaves the numbers as they are, or as near as its precision allows."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from likeness.catalog import resolve_base
from likeness.families import Family, Placement, memory, open_family
from likeness.families.quantize import QuantizedLinear
from likeness.functional.randomness import normal
from likeness.lora import inject as lora
from likeness.lora.kinds import Size
from likeness.lora.targets import Targets, choose_layers
from likeness.train.loader import Batch
from likeness.train.step import losses_at

CPU = torch.device("cpu")


def opened(base: Path, **how: object) -> Family:
    return open_family(resolve_base(str(base)), Placement(CPU, torch.float32, **how))  # type: ignore[arg-type]


def loss_and_gradients(family: Family, checkpointing: str = "none", compiled: bool = False) -> tuple[float, Tensor]:
    """Of one batch of two, after a LoRA of rank 2 was put in and moved off its start."""
    torch.manual_seed(0)
    batch = Batch(normal((2, 16, 2, 3), 1, "x"), [], family.encode_text(["tiny_char at sea", "another"]))
    sizes = choose_layers(family.networks, Targets(family.lora_targets("all"), Size(2, 2)))
    lora.inject(family.networks, sizes, "lora", dropout=0, seed=1)
    weights = lora.trainable(family.networks)
    for name, weight in weights.items():
        if "lora_B" in name:
            weight.data = normal(tuple(weight.shape), 2, name) * 0.1
    denoiser = family.networks["transformer"]
    denoiser.train()
    memory.prepare_training(denoiser, family.blocks, checkpointing, compiled)
    with memory.attention_for(family.placement), memory.kept_activations(checkpointing, CPU):
        loss = losses_at(family, batch, torch.tensor([0.3, 0.8]), normal((2, 16, 2, 3), 1, "noise")).mean()
        loss.backward()
    return loss.item(), torch.cat([w.grad.flatten() for w in weights.values() if w.grad is not None])


@pytest.fixture(scope="module")
def plain(tiny_base: Path) -> tuple[float, Tensor]:
    return loss_and_gradients(opened(tiny_base))


@pytest.mark.parametrize("checkpointing", ["blocks", "all"])
@pytest.mark.parametrize("offload", [0.0, 0.5, 1.0])
def test_recomputing_and_offloading_change_nothing(
    tiny_base: Path, plain: tuple[float, Tensor], checkpointing: str, offload: float
) -> None:
    loss, gradients = loss_and_gradients(opened(tiny_base, offload=offload), checkpointing)
    assert loss == plain[0] and torch.equal(gradients, plain[1])


def test_offloaded_blocks_are_back_where_they_were(tiny_base: Path) -> None:
    family = opened(tiny_base, offload=0.5)
    denoiser = family.networks["transformer"]
    before = {name: id(p) for name, p in denoiser.named_parameters()}
    seen: list[int] = []
    block = memory.block_list(denoiser, family.blocks)[0]
    weight = next(block.parameters())

    def during(module: nn.Module, arguments: object) -> None:
        seen.append(id(next(block.parameters())))

    next(m for m in block.modules() if isinstance(m, nn.Linear)).register_forward_pre_hook(during)
    with torch.no_grad():
        family.predict(normal((1, 16, 2, 2), 1, "x"), torch.tensor([0.5]), family.encode_text(["x"]))
    assert seen and id(weight) not in seen, "a copy does the work"
    assert {name: id(p) for name, p in denoiser.named_parameters()} == before


@pytest.mark.parametrize(("form", "error"), [("int8", 0.02), ("fp8", 0.1), ("nf4", 0.35), ("int4", 0.4)])
def test_a_quantised_base_is_near_the_plain_one(
    tiny_base: Path, plain: tuple[float, Tensor], form: str, error: float
) -> None:
    family = opened(tiny_base, quantize=form)
    denoiser = family.networks["transformer"]
    packed = {n for n, m in denoiser.named_modules() if isinstance(m, QuantizedLinear)}
    assert packed and all(n.startswith(family.blocks) for n in packed)
    loss, gradients = loss_and_gradients(family, "blocks")
    assert loss == pytest.approx(plain[0], rel=error / 2) and loss != plain[0]
    assert (gradients - plain[1]).norm() < error * plain[1].norm()


def test_attention_kernels_agree(tiny_base: Path, plain: tuple[float, Tensor]) -> None:
    loss, gradients = loss_and_gradients(opened(tiny_base, attention="native"))
    assert loss == pytest.approx(plain[0], rel=1e-5)
    assert torch.allclose(gradients, plain[1], rtol=1e-3, atol=1e-6)


def test_compiled_blocks_compute_the_same(
    tiny_base: Path, plain: tuple[float, Tensor], compiled_by_tracer: None
) -> None:
    family = opened(tiny_base)
    compiled = memory.block_list(family.networks["transformer"], family.blocks)
    loss, gradients = loss_and_gradients(family, "blocks", compiled=True)
    assert all(block._compiled_call_impl is not None for block in compiled)  # pyright: ignore[reportPrivateUsage]
    assert loss == pytest.approx(plain[0], rel=1e-5)
    assert torch.allclose(gradients, plain[1], rtol=1e-3, atol=1e-5)
