import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from likeness.catalog import resolve_base
from likeness.service import workers
from tests.tiny_run import start_run, write_config, write_pictures

if TYPE_CHECKING:
    from likeness.families import Family


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell that started this in the background had it so
    signal.signal(signal.SIGINT, signal.default_int_handler)
# More processes than cores: threads that spin, as the worker's do for a moment, would take others' cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is measured of datasets is kept among the tests' files, not in the home of who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def workers_ready() -> None:
    """As in a server: hundreds of tests start workers, which are forked here."""
    workers.keep_ready()


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model of 90,000 random weights; leave it as it is."""
    from tests.contract.bases.flux2 import make_tiny_base  # torch: not for tests of the floor

    return make_tiny_base(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def compiled_by_tracer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules compile by the tracer alone: what the code generator then makes of it is torch's own business, and slow
    to wait for."""
    from torch import nn  # not for tests of the floor

    compile_module = nn.Module.compile

    def traced(module: nn.Module) -> None:
        compile_module(module, backend="eager")

    monkeypatch.setattr(nn.Module, "compile", traced)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three small captioned pictures."""
    return write_pictures(tmp_path / "pictures", 3)


@pytest.fixture
def make_run(tiny_base: Path, pictures: Path, tmp_path: Path) -> Callable[..., Path]:
    """Freeze a run of the given name, with dotted settings to override, and return its folder."""
    config = write_config(tmp_path / "tiny.yaml", tiny_base, pictures)

    def make(name: str = "tiny", **settings: object) -> Path:
        overrides = [f"name={name}", *(f"{key.replace('__', '.')}={value}" for key, value in settings.items())]
        return start_run(config, tmp_path / "runs", overrides)

    return make


@pytest.fixture
def open_tiny(tiny_base: Path) -> Callable[..., "Family"]:
    """Opens the tiny base, or a copy of it at another place, on one thread."""
    from likeness.config.hardware import HardwareConfig
    from likeness.families import open_family
    from likeness.families.placement import choose_placement, set_up_torch

    placement = choose_placement(HardwareConfig(device="cpu", precision="fp32"))
    set_up_torch(placement, threads=1)
    return lambda base=tiny_base: open_family(resolve_base(str(base)), placement)


@pytest.fixture(autouse=True)
def handlers_restored() -> Iterator[None]:
    """Workers and commands that run inside the test process listen for signals; none of that may stay."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
