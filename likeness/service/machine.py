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

# In a process of its own: importing torch costs a second, and a broken driver may end the process.
_ASK_TORCH = [sys.executable, "-m", "likeness.families.devices"]


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
        asked = subprocess.run(_ASK_TORCH, capture_output=True, text=True, timeout=ASK_SECONDS, check=False)
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
