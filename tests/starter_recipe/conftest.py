"""A toy of the starter and of its pool; one thread, as the recipe's replicas have."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("skia", reason="the renderer needs the extra 'starter'")
pytest.importorskip("torch", reason="the recipe needs the extra 'train'")

import torch

from starter_recipe import pool
from starter_recipe.training import Replicas
from tests.toy_starter import write_toy, write_toy_vae


@pytest.fixture(scope="session")
def toy_vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_vae(tmp_path_factory.mktemp("toy") / "vae")


@pytest.fixture(scope="session")
def toy(toy_vae: Path) -> Path:
    return write_toy(toy_vae.parent / "starter", toy_vae)


@pytest.fixture(scope="session")
def toy_pool(toy_vae: Path) -> pool.Pool:
    """48 pictures and 24 pairs in the toy's latents."""
    folder = toy_vae.parent / "pool"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "CHUNK", 24)
        pool.build(Replicas(0, 1, 0), folder, str(toy_vae), 48, 24)
        pool.join(folder, 48, 24)
        return pool.Pool(folder, torch.device("cpu"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
