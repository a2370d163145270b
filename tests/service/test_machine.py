"""What is told of a machine, with torch and without."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from likeness.service import doctor, machine


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    machine.asked_torch.cache_clear()
    yield
    machine.asked_torch.cache_clear()


def answering(monkeypatch: pytest.MonkeyPatch, *answer: object, code: int = 0, error: str = "") -> list[int]:
    """Let torch say this; returns how often it was asked."""
    asked: list[int] = []

    def run(*args: Any, **values: Any) -> "subprocess.CompletedProcess[str]":
        asked.append(1)
        return subprocess.CompletedProcess(args, code, "\n".join(map(str, answer)), error)

    monkeypatch.setattr(subprocess, "run", run)
    return asked


CPU = {"bf16": True, "threads": 4, "flops": 1e11}
GPU = {"name": "cuda:0", "kind": "CUDA", "title": "Big", "memory": 80 * 2**30, "bf16": True, "flops": 5e14}


def test_a_machine_with_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = answering(monkeypatch, "a warning", json.dumps({"devices": [GPU], "cpu": CPU}))
    found = machine.machine(tmp_path / "not" / "there")
    assert [d.name for d in found.devices] == machine.devices() == ["cuda:0"]
    assert found.devices[0].memory_bytes == 80 * 2**30 and found.free_disk_bytes > 0 and found.problem == ""
    assert len(asked) == 1, "asked once, however often it is told"
    (told,) = [c for c in doctor.checks(tmp_path) if c.name == "device"]
    assert told.message == "CUDA device cuda:0: Big, 80 GiB"


def test_a_machine_without_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answering(monkeypatch, json.dumps({"devices": [], "cpu": CPU}))
    (device,) = machine.machine(tmp_path).devices
    assert (device.name, device.kind, device.flops) == ("cpu", "CPU", 1e11) and machine.devices() == ["cpu"]


@pytest.mark.parametrize(
    ("answer", "code", "error"), [("", 1, "trace\nbroken driver"), ("no json", 0, ""), ("", 0, "")]
)
def test_torch_that_does_not_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: str, code: int, error: str
) -> None:
    answering(monkeypatch, answer, code=code, error=error)
    found = machine.machine(tmp_path)
    assert [d.name for d in found.devices] == ["cpu"] and found.devices[0].flops is None and found.problem
    (told,) = [c for c in doctor.checks(tmp_path) if c.name == "device"]
    assert told.state == "problem" and told.fix and ("broken driver" in told.message) == bool(error)
