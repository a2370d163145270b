"""What the pretraining scripts share: where they run, Muon, schedules, curves, resumable state, and work made ahead."""

import argparse
import json
import math
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader, Dataset

from likeness.families.placement import best_dtype

Made = TypeVar("Made")
SHIPPED = Path(__file__).parent.parent / "likeness" / "starter"
DISTILLED = SHIPPED.with_name("starter-distilled")
LOG = Path(__file__).parent / "log"  # the curves of what is shipped


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonalised updates, for matrices and (flattened) convolution kernels.

    Keller Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024. torch.optim.Muon
    takes matrices alone; kernels are what the VAE is made of. Weights of one shape are updated together, and
    orthogonalised by `replicas` in equal shares where these are given.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        replicas: "Replicas | None" = None,
    ):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.replicas = replicas or Replicas(0, 1, 0)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    alike.setdefault(p.shape, []).append(p)
            for params in alike.values():
                self._update(params, group["lr"], group["momentum"], group["weight_decay"])

    def _update(self, params: list[Tensor], rate: float, momentum: float, decay: float) -> None:
        grads = [p.grad for p in params]
        moments = [self.state[p].setdefault("momentum", torch.zeros_like(p)) for p in params]
        torch._foreach_lerp_(moments, grads, 1 - momentum)
        ahead = torch._foreach_lerp(grads, moments, momentum)
        updates = self.replicas.divided(orthogonalise, torch.stack(ahead).flatten(2))
        scale = max(1.0, updates.shape[1] / updates.shape[2]) ** 0.5
        torch._foreach_mul_(params, 1 - rate * decay)
        torch._foreach_add_(params, [u.view_as(params[0]) for u in updates], alpha=-rate * scale)


def orthogonalise(g: Tensor, rounds: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrices to `g` (N, rows, columns), by a quintic Newton-Schulz iteration in bf16
    where the hardware has it."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.to(best_dtype(g.device))
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(rounds):
        xxt = x @ x.mT
        x = a * x + (b * xxt + c * (xxt @ xxt)) @ x
    return (x.mT if tall else x).float()


# --- where it runs


class Replicas:
    """This process among equals on one machine. Alone, it neither sends nor waits, and takes a GPU if there is one."""

    def __init__(self, rank: int, world: int, port: int):
        self.rank, self.world = rank, world
        self.device = torch.device("cuda" if world == 1 and torch.cuda.is_available() else "cpu")
        if world > 1:
            dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)

    @property
    def leads(self) -> bool:
        return self.rank == 0

    @property
    def machine(self) -> str:
        """For the curves: 'two CPU cores', 'NVIDIA H100 80GB HBM3'."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name()
        cores = self.world * torch.get_num_threads()
        return "two CPU cores" if cores == 2 else f"{cores} CPU core{'s' * (cores > 1)}"

    @property
    def workers(self) -> int:
        """Processes that draw and write ahead: none on a CPU, which has no time to wait."""
        return max(1, (os.cpu_count() or 2) - 2) if self.device.type == "cuda" else 0

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

    def divided(self, work: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        """`work(rows)` in float32, each replica doing its part of the rows and sending it to the others in bf16.

        Rows that cannot be divided evenly are done by every replica.
        """
        if self.world == 1 or len(rows) % self.world:
            return work(rows)
        own = work(rows.chunk(self.world)[self.rank]).bfloat16().contiguous()
        parts = [torch.empty_like(own) for _ in range(self.world)]
        dist.all_gather(parts, own)
        return torch.cat(parts).float()

    def agree(self, value: float) -> float:
        """The first replica's value: their clocks differ."""
        if self.world == 1:
            return value
        told = torch.tensor(value, dtype=torch.float64)
        dist.broadcast(told, 0)
        return told.item()


def on_gpu() -> bool:
    return torch.cuda.is_available()


def mixed(device: torch.device) -> torch.autocast:
    """Matrix products and convolutions in bf16 where the hardware multiplies it: without, a CPU takes ten times as long
    for them as in fp32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=best_dtype(device) == torch.bfloat16)


def run_replicas(world: int, main: Callable[..., None], *args: Any) -> None:
    """Run `main(replicas, *args)` in `world` processes of one thread each: on CPUs this beats threads.

    0 means one on a GPU, else two.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    world = world or (1 if on_gpu() else 2)
    if world == 1:
        _run(Replicas(0, 1, 0), main, args)
        return
    port = 20000 + os.getpid() % 20000
    torch.multiprocessing.spawn(_enter, (world, port, main, args), nprocs=world)  # type: ignore[attr-defined]


def _enter(rank: int, world: int, port: int, main: Callable[..., None], args: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _run(Replicas(rank, world, port), main, args)


def _end_with_parent() -> None:
    """However it ends: a replica that goes on alone would write over the state of the training that is begun next."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(replicas: Replicas, main: Callable[..., None], args: tuple[Any, ...]) -> None:
    """Plain matrix products are the fastest attention for a hundred tokens on a CPU."""
    gpu = replicas.device.type == "cuda"
    if gpu:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True  # few shapes, many steps
    with nullcontext() if gpu else sdpa_kernel(SDPBackend.MATH):
        main(replicas, *args)


class _Items(Dataset[Any]):
    def __init__(self, make: Callable[[Any], Any], items: Sequence[Any]):
        self.make, self.items = make, items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, number: int) -> Any:
        return self.make(self.items[number])


def ahead(make: Callable[[Any], Made], items: Sequence[Any], workers: int) -> Iterator[Made]:
    """`make(item)` for each, in order, made in worker processes before they are asked for; without workers, when asked.

    What is made should hold numpy arrays, not tensors: those would go through shared memory, which may be small.
    """
    if not workers or not len(items):
        yield from map(make, items)
        return
    yield from DataLoader(
        _Items(make, items), batch_size=None, num_workers=workers, prefetch_factor=4, collate_fn=_as_it_is
    )


def _as_it_is(item: Made) -> Made:
    return item


# --- how long, and how fast


class Clock:
    """How far a training is: by `steps`, or by `minutes` of all its parts together where these are given."""

    def __init__(self, args: argparse.Namespace, step: int = 0, spent: float = 0.0):
        """`spent`: seconds that earlier parts took. This part began at `args.began`."""
        self.steps, self.minutes, self.pause = args.steps, args.minutes, args.pause
        self.began, self.first, self.before = args.began, step, spent

    @property
    def here(self) -> float:
        """Seconds in this part."""
        return time.time() - self.began

    @property
    def spent(self) -> float:
        """Seconds in all parts."""
        return self.before + self.here

    def told(self, step: int) -> dict[str, float]:
        """What every row of a curve begins with."""
        return {"step": step, "first": self.first, "seconds": self.here, "minutes_in_all": self.spent / 60}

    def progress(self, step: int) -> float:
        """0 to 1."""
        return min(1.0, self.spent / (60 * self.minutes) if self.minutes else step / self.steps)

    @property
    def pauses(self) -> bool:
        """Whether this part has had its time."""
        return bool(self.pause) and self.here >= 60 * self.pause

    @staticmethod
    def options(parser: argparse.ArgumentParser, steps: int) -> None:
        parser.add_argument("--steps", type=int, default=steps)
        parser.add_argument(
            "--minutes", type=float, default=0, help="length in time instead of steps: of all parts, from nothing"
        )
        parser.add_argument(
            "--pause", type=float, default=0, help="save and stop after so many minutes; the same command goes on"
        )
        parser.set_defaults(began=time.time())


def warm_cosine(progress: float, steps_since_start: int, warm_up: int, floor: float = 0.02) -> float:
    """Learning-rate factor: linear warm-up, then a half cosine down to `floor`."""
    decay = 0.5 * (1 + math.cos(math.pi * progress))
    return min(1.0, (steps_since_start + 1) / warm_up) * (floor + (1 - floor) * decay)


def warm_level(progress: float, steps_since_start: int, warm_up: int, cooldown: float, floor: float = 0.02) -> float:
    """Learning-rate factor: linear warm-up, level, then straight down to `floor` over the last `cooldown` share."""
    return min(1.0, (steps_since_start + 1) / warm_up) * min(1.0, max(floor, (1 - progress) / cooldown))


# --- what is kept


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


def keep_curve(out: Path, name: str, start: str) -> None:
    """A training that goes on from shipped weights goes on with their curve."""
    curve, log = out / "curve.jsonl", LOG / f"{name}.jsonl"
    shipped = start and Path(start).resolve() in (SHIPPED.resolve(), (SHIPPED / "vae").resolve())
    if shipped and not curve.exists() and log.exists():
        out.mkdir(parents=True, exist_ok=True)
        curve.write_text(log.read_text())


class Smooth:
    """A running mean of losses that does not make the GPU wait: it is read when it is told."""

    def __init__(self) -> None:
        self.value: Tensor | None = None

    def add(self, loss: Tensor) -> None:
        loss = loss.detach().float()
        self.value = loss if self.value is None else self.value.lerp(loss, 0.03)

    def __float__(self) -> float:
        return 0.0 if self.value is None else self.value.item()


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Replace `path` as a whole: an interrupted save leaves the old state."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path.with_suffix(".tmp"))
    os.replace(path.with_suffix(".tmp"), path)
