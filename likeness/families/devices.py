"""What torch finds to compute with here, and how fast each is: one line of JSON. `python -m likeness.families.devices`.

Speeds are of square matrix products as a base computes them. The best of many counts, and of a CPU's cores one is
measured: others may use the machine just now, and then threads that wait for each other say nothing of it.
"""

import json
import time
from typing import Any

import torch

from likeness.families.placement import best_dtype

MEASURED_SECONDS, LEAST_ROUNDS, PRODUCTS = 0.4, 3, 4


def found() -> dict[str, Any]:
    """`devices`: name, kind, title, memory, bf16 and flops of each GPU; `cpu`: bf16, threads and flops of all cores."""
    devices: list[dict[str, Any]] = []
    if torch.cuda.is_available():
        devices = [_cuda(i) for i in range(torch.cuda.device_count())]
    elif torch.backends.mps.is_available():
        flops = _speed(torch.device("mps"), 2048)
        devices = [{"name": "mps", "kind": "Apple", "title": "Apple GPU", "memory": None, "bf16": True, "flops": flops}]
    cpu, threads = torch.device("cpu"), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        flops = threads * _speed(cpu, 256)
    finally:
        torch.set_num_threads(threads)
    bf16 = best_dtype(cpu) == torch.bfloat16
    return {"devices": devices, "cpu": {"bf16": bf16, "threads": threads, "flops": flops}}


def _cuda(index: int) -> dict[str, Any]:
    device, properties = torch.device("cuda", index), torch.cuda.get_device_properties(index)
    try:
        flops = _speed(device, 4096)
    except RuntimeError:  # no memory left just now
        flops = None
    return {
        "name": str(device), "kind": "ROCm" if torch.version.hip else "CUDA", "title": properties.name,
        "memory": properties.total_memory, "bf16": best_dtype(device) == torch.bfloat16, "flops": flops,
    }  # fmt: skip


def _speed(device: torch.device, side: int) -> float:
    """Operations a second."""
    x = torch.randn(side, side, device=device, dtype=best_dtype(device))
    best, end, rounds = 0.0, time.perf_counter() + MEASURED_SECONDS, 0
    while time.perf_counter() < end or rounds < LEAST_ROUNDS:
        begin = time.perf_counter()
        y = x
        for _ in range(PRODUCTS):
            y = x @ x
        float(y[0, 0])  # waits for the device
        best = max(best, PRODUCTS * 2 * side**3 / (time.perf_counter() - begin))
        rounds += 1
    return best


if __name__ == "__main__":
    print(json.dumps(found()))
