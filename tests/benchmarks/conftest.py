"""A finished run for those that measure runs."""

from pathlib import Path

import pytest
import torch

from benchmarks import learning
from likeness.families import Family, open_family
from likeness.families.placement import choose_placement
from likeness.lora import inject as lora
from likeness.lora.io import LoraInfo, write_lora
from likeness.lora.kinds import Size
from likeness.lora.targets import Targets, choose_layers
from likeness.service import runs
from likeness.worker.training import read_job
from tests.contract.bases.flux2 import make_tiny_base

EXAMPLE = Path(learning.__file__).parent.parent / "examples" / "character" / "mika.yaml"
SETTINGS = ("sampling.width=32", "sampling.height=32", "sampling.steps=2", "hardware.precision=fp32", "lora.rank=4")


def open_base(folder: Path) -> Family:
    job = read_job(folder)
    return open_family(job.card, choose_placement(job.config.hardware))


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs as the worker leaves it, its weights made up: zero in the first, large in the second."""
    base = make_tiny_base(tmp_path_factory.mktemp("base"))
    prepared = runs.prepare(EXAMPLE, [f"base={base}", *SETTINGS])
    folder, config = runs.start(prepared, tmp_path_factory.mktemp("runs")), prepared.config
    family = open_base(folder)
    sizes = choose_layers(family.networks, Targets(family.lora_targets("all"), Size(4, 4.0)))
    lora.inject(family.networks, sizes, "lora", dropout=0, seed=1)
    for epoch, size in ((1, 0.0), (2, 2.0)):
        weights = {
            n: p.detach() if ".lora_A." in n else torch.full_like(p, size)
            for n, p in lora.trainable(family.networks).items()
        }
        info = LoraInfo("mika", config.base, config.trigger, 4, epoch, epoch, {})
        path = folder / "checkpoints" / f"epoch-{epoch:03d}.safetensors"
        write_lora(path, weights, sizes, info=info, targets="all")
    return folder
