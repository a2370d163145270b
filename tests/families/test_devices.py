"""What torch is found to compute with."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from likeness.families import devices
from likeness.service import machine


def test_a_cpu_is_measured_and_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(devices, "MEASURED_SECONDS", 0)
    threads = torch.get_num_threads()
    told = devices.found()
    assert told["devices"] == [] and told["cpu"]["threads"] == threads == torch.get_num_threads()
    assert told["cpu"]["flops"] > 1e8


def test_every_gpu_is_told_even_one_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    card = SimpleNamespace(name="Big", total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)

    def speed(device: torch.device, side: int) -> float:
        if str(device) == "cuda:1":
            raise RuntimeError("out of memory")
        return float(side)

    monkeypatch.setattr(devices, "_speed", speed)
    first, second = devices.found()["devices"]
    assert (first["name"], first["flops"], first["bf16"]) == ("cuda:0", 4096, True)
    assert (second["name"], second["flops"], second["memory"]) == ("cuda:1", None, 80 * 2**30)


def test_the_studio_asks_it(tmp_path: Path) -> None:
    machine.asked_torch.cache_clear()
    found = machine.machine(tmp_path)
    assert found.problem == "" and found.threads >= 1 and all(d.flops for d in found.devices)
