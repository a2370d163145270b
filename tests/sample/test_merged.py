"""A merged file draws what its LoRAs draw together, here and in the stock pipeline."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from likeness.service import lora_files
from likeness.service.lora_files import Merge, Size
from likeness.service.samples import LoraUse
from likeness.worker import merging
from tests.sample.test_stock import LIKENESS, Draw, difference, picture_of, stock_picture
from tests.sample.test_stock import draw as draw
from tests.sample.test_stock import make_lora as make_lora

MakeLora = Callable[..., Path]
Merging = Callable[..., Path]


@pytest.fixture
def merge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Merging:
    """`likeness merge` inside this process; returns what it wrote."""
    started: list[Path] = []

    class Started:
        def __init__(self, _: str, folder: Path):
            started.append(folder)

    monkeypatch.setattr(lora_files, "Worker", Started)

    def run(*loras: LoraUse, output: str = "merged.safetensors", **values: Any) -> Path:
        lora_files.start_merge(Merge(loras, tmp_path / output, device="cpu", **values))
        assert merging.run(started[-1]) == 0
        return tmp_path / output

    return run


@pytest.mark.parametrize("kinds", [("lora", "lora"), ("rslora", "loha"), ("lokr", "lora")])
def test_one_file_draws_what_both_draw(draw: Draw, make_lora: MakeLora, merge: Merging, kinds: tuple[str, str]) -> None:
    both = LoraUse(make_lora("one", 1, alpha=10, kind=kinds[0]), 0.7), LoraUse(make_lora("two", 2, kind=kinds[1]), 0.6)
    merged = draw(LoraUse(merge(*both)))
    together = draw(*both)
    assert difference(picture_of(merged), picture_of(together)) <= LIKENESS
    assert difference(picture_of(merged), stock_picture(merged)) <= LIKENESS
    for other in (both[:1], both[1:], ()):
        assert difference(picture_of(merged), picture_of(draw(*other))) > 5, "both must be seen"


@pytest.mark.parametrize("layout", ["kohya", "comfyui"])
def test_in_other_layouts(draw: Draw, make_lora: MakeLora, merge: Merging, layout: str) -> None:
    both = LoraUse(make_lora("one", 1), 0.7), LoraUse(make_lora("two", 2), -0.6)
    merged = draw(LoraUse(merge(*both, layout=layout)))
    assert difference(picture_of(merged), picture_of(draw(*both))) <= LIKENESS
    assert difference(picture_of(merged), stock_picture(merged)) <= LIKENESS


def test_at_full_rank_svd_draws_the_same(draw: Draw, make_lora: MakeLora, merge: Merging) -> None:
    both = LoraUse(make_lora("one", 1), 0.7), LoraUse(make_lora("two", 2), 0.6)
    cut = draw(LoraUse(merge(*both, method="svd", size=Size(8), precision="fp32")))
    assert difference(picture_of(cut), picture_of(draw(*both))) <= LIKENESS
    less = draw(LoraUse(merge(*both, method="svd", size=Size(1), output="less.safetensors")))
    assert difference(picture_of(less), picture_of(cut)) > 5


def test_a_base_with_them_in_it_draws_the_same(
    draw: Draw, make_lora: MakeLora, merge: Merging, tiny_base: Path
) -> None:
    """A DoRA too, which no file can hold together with others."""
    both = LoraUse(make_lora("one", 1, kind="dora"), 1.0), LoraUse(make_lora("two", 2), 0.6)
    before = {p: p.read_bytes() for p in tiny_base.rglob("*") if p.is_file()}
    base = merge(*both, output="base", into_base=str(tiny_base))
    assert {p: p.read_bytes() for p in tiny_base.rglob("*") if p.is_file()} == before
    merged = draw(base=base)
    assert difference(picture_of(merged), picture_of(draw(*both))) <= LIKENESS
    assert difference(picture_of(merged), stock_picture(merged)) <= LIKENESS
    assert difference(picture_of(merged), picture_of(draw())) > 10


def test_a_dora_at_full_rank(draw: Draw, make_lora: MakeLora, merge: Merging, tiny_base: Path) -> None:
    both = LoraUse(make_lora("one", 1, kind="dora"), 1.0), LoraUse(make_lora("two", 2), 0.6)
    path = merge(*both, method="svd", size=Size(512), base=str(tiny_base), precision="fp32")
    assert difference(picture_of(draw(LoraUse(path))), picture_of(draw(*both))) <= LIKENESS
