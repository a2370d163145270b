"""What this machine has to compute with: devices, cores, memory, disk."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

ASK_SECONDS = 120  # that torch may take to start

# torch is asked in a process of its own: importing it costs a second, and a broken driver may end the process. Speeds
# are of square matrix products as a base computes them. The best of many counts, and of a CPU's cores one is measured:
# others may use the machine just now, and then threads that wait for each other say nothing of it.
_ASK_TORCH = """
import json, time
import torch

def speed(device, dtype, side):
    x = torch.randn(side, side, device=device, dtype=dtype)
    best, end, rounds = 0.0, time.perf_counter() + 0.4, 0
    while time.perf_counter() < end or rounds < 3:
        begin = time.perf_counter()
        for _ in range(4):
            y = x @ x
        float(y[0, 0])  # waits for the device
        best = max(best, 8 * side**3 / (time.perf_counter() - begin))
        rounds += 1
    return best

devices = []
if torch.cuda.is_available():
    for i in range(torch.cuda.device_count()):
        p = torch.cuda.get_device_properties(i)
        bf16 = torch.cuda.is_bf16_supported()
        try:
            flops = speed(f"cuda:{i}", torch.bfloat16 if bf16 else torch.float32, 4096)
        except RuntimeError:  # no memory left just now
            flops = None
        kind = "ROCm" if torch.version.hip else "CUDA"
        devices.append({"name": f"cuda:{i}", "kind": kind, "title": p.name, "memory": p.total_memory, "bf16": bf16,
                        "flops": flops})
elif torch.backends.mps.is_available():
    flops = speed("mps", torch.bfloat16, 2048)
    devices.append({"name": "mps", "kind": "Apple", "title": "Apple GPU", "memory": None, "bf16": True, "flops": flops})
bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
threads = torch.get_num_threads()
torch.set_num_threads(1)
flops = threads * speed("cpu", torch.bfloat16 if bf16 else torch.float32, 256)
cpu = {"bf16": bf16, "threads": threads, "flops": flops}
print(json.dumps({"devices": devices, "cpu": cpu}))
"""


@dataclass(frozen=True)
class Device:
    """One thing to train on. `name` is what hardware.device and the queue call it: 'cuda:0', 'mps' or 'cpu'."""

    name: str
    kind: str  # 'CUDA', 'ROCm', 'Apple' or 'CPU'
    title: str
    memory_bytes: int | None  # of its own; for 'cpu' and 'mps' the machine's
    bf16: bool  # computes in it at full speed
    flops: float | None  # measured in matrix products, in operations a second


@dataclass(frozen=True)
class Machine:
    devices: tuple[Device, ...]  # the best first; a CPU where there is nothing else
    cores: int
    threads: int  # that torch uses
    memory_bytes: int | None
    free_disk_bytes: int  # where the workspace is
    problem: str = ""  # why torch does not start; empty where it does


def machine(workspace: Path) -> Machine:
    """What is here. torch is asked once for each process; the free disk every time."""
    found, problem = asked_torch()
    memory = total_memory()
    cpu: dict[str, Any] = found.get("cpu", {})
    devices = [Device(d["name"], d["kind"], d["title"], d["memory"] or memory, d["bf16"], d["flops"])
               for d in found.get("devices", [])]  # fmt: skip
    if not devices:
        cores = os.cpu_count() or 1
        devices = [Device("cpu", "CPU", f"this CPU ({cores} cores)", memory, bool(cpu.get("bf16")), cpu.get("flops"))]
    threads = int(cpu.get("threads") or os.cpu_count() or 1)
    return Machine(tuple(devices), os.cpu_count() or 1, threads, memory, free_disk(workspace), problem)


def devices() -> list[str]:
    """The names of the devices that jobs can be given to: 'cuda:0', 'cuda:1' …, 'mps', or 'cpu'."""
    found, _ = asked_torch()
    return [str(d["name"]) for d in found.get("devices", [])] or ["cpu"]


@lru_cache(maxsize=1)
def asked_torch() -> tuple[dict[str, Any], str]:
    """What torch says of this machine, and why it says nothing."""
    try:
        asked = subprocess.run(
            [sys.executable, "-c", _ASK_TORCH], capture_output=True, text=True, timeout=ASK_SECONDS, check=False
        )
        if asked.returncode == 0:
            return json.loads(asked.stdout.strip().splitlines()[-1]), ""
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as e:
        return {}, str(e)
    return {}, (asked.stderr.strip().splitlines() or ["no message"])[-1]


def total_memory() -> int | None:
    """Main memory in bytes; None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def free_disk(place: Path) -> int:
    """Free bytes where `place` is, or will be."""
    there = next((p for p in (place, *place.parents) if p.exists()), Path())
    return shutil.disk_usage(there).free
