"""What the pretraining scripts share: Muon, averaged weights, replicas on one machine, curves, resumable state."""

import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonalised updates, for matrices and (flattened) convolution kernels.

    Keller Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024. torch.optim.Muon
    takes matrices alone; kernels are what the VAE is made of.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                m = state.setdefault("momentum", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - group["momentum"])
                update = orthogonalise(p.grad.lerp(m, group["momentum"]).flatten(1))
                scale = max(1.0, update.shape[0] / update.shape[1]) ** 0.5
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update.view_as(p), alpha=-group["lr"] * scale)


def orthogonalise(g: Tensor, rounds: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrix to `g` (rows, columns), by a quintic Newton-Schulz iteration in bf16."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(rounds):
        xxt = x @ x.T
        x = a * x + (b * xxt + c * (xxt @ xxt)) @ x
    return (x.T if tall else x).float()


class Replicas:
    """This process among equals on one machine. With one replica every method does nothing."""

    def __init__(self, rank: int, world: int, port: int):
        self.rank, self.world = rank, world
        if world > 1:
            dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def average_gradients(self, params: list[Tensor]) -> None:
        if self.world == 1:
            return
        grads = [p.grad for p in params if p.grad is not None]
        flat = torch.cat([g.flatten() for g in grads]).bfloat16()
        dist.all_reduce(flat)
        flat = flat.float() / self.world
        offset = 0
        for g in grads:
            g.copy_(flat[offset : offset + g.numel()].view_as(g))
            offset += g.numel()


def run_replicas(world: int, main: Callable[..., None], *args: Any) -> None:
    """Run `main(replicas, *args)` in `world` processes of one thread each: on CPUs this beats threads."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if world == 1:
        main(Replicas(0, 1, 0), *args)
        return
    port = 20000 + os.getpid() % 20000
    torch.multiprocessing.spawn(_enter, (world, port, main, args), nprocs=world)  # type: ignore[attr-defined]


def _enter(rank: int, world: int, port: int, main: Callable[..., None], args: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    main(Replicas(rank, world, port), *args)


class Journal:
    """Appends one JSON object a line: the training curves that the model card is made from."""

    def __init__(self, path: Path):
        self.path, self.start = path, time.time()
        path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, **values: float | str) -> None:
        row = {k: round(v, 5) if isinstance(v, float) else v for k, v in values.items()}
        print(row, flush=True)
        with self.path.open("a") as f:
            f.write(json.dumps(row) + "\n")


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Replace `path` as a whole: an interrupted save leaves the old state."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path.with_suffix(".tmp"))
    os.replace(path.with_suffix(".tmp"), path)


def warm_cosine(step: int, steps: int, warm_up: int, floor: float = 0.02) -> float:
    """Learning-rate factor: linear warm-up, then a half cosine down to `floor`."""
    import math

    decay = 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
    return min(1.0, (step + 1) / warm_up) * (floor + (1 - floor) * decay)
