"""How a worker's threads wait for one another: set before torch is imported, unless the environment says otherwise."""

import os
from types import SimpleNamespace

import pytest

from likeness.worker import ENVIRONMENT
from likeness.worker import __main__ as worker

WAITING = {name: ENVIRONMENT[name] for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}


@pytest.mark.parametrize("own", [{}, {"GOMP_SPINCOUNT": "0"}, {"OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": "7"}])
def test_threads_spin_for_a_moment_unless_told_otherwise(own: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in WAITING:
        monkeypatch.delenv(name, raising=False)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    seen: list[dict[str, str]] = []

    def imported(name: str) -> SimpleNamespace:  # torch would come with it, and reads the settings then
        seen.append({name: os.environ[name] for name in WAITING})
        return SimpleNamespace(run=lambda folder: 0)

    monkeypatch.setattr(worker.importlib, "import_module", imported)
    assert worker._run(["train", "run"]) == (0, "")
    assert seen == [WAITING | own]
