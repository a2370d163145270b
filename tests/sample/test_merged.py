"""A merged file draws what its LoRAs draw together, here and in the stock pipeline."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from likeness.catalog import CARDS
from likeness.events import EventLog
from likeness.families import names_of
from likeness.lora.change import Change
from likeness.lora.layouts import Lora, write_layout
from likeness.service import lora_files
from likeness.service.lora_files import Merge, Size
from likeness.service.samples import LoraUse
from likeness.worker import merging
from likeness.worker.lora_sources import open_base
from tests.contract.bases import stable_diffusion
from tests.lora.loras import Numbers
from tests.sample.test_stock import LIKENESS, Draw, difference, picture_of, stock_picture
from tests.sample.test_stock import draw as draw
from tests.sample.test_stock import make_lora as make_lora

MakeLora = Callable[..., Path]
Merging = Callable[..., Path]


@pytest.fixture
def merge(tmp_path: Path) -> Merging:
    """`likeness merge` inside this process; returns what it wrote."""

    def run(*loras: LoraUse, output: str = "merged.safetensors", **values: Any) -> Path:
        order = lora_files.order_merge(Merge(loras, tmp_path / output, device="cpu", **values))
        assert merging.run(order.write(tmp_path / f"job-{output}")) == 0
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


@pytest.mark.parametrize("variant", ["sdxl", "sd15"])
def test_text_encoders_and_convolutions_too(draw: Draw, merge: Merging, tmp_path: Path, variant: str) -> None:
    card = next(card for card in CARDS.values() if names_of(card)[0].family == variant)
    stable_diffusion.make(card, tmp_path / "sd")
    base = open_base(str(tmp_path / "sd"), EventLog(tmp_path / "events.jsonl"))
    numbers, changes = Numbers(1), dict[str, Change]()
    for name in base.weights.places:
        outputs, inputs, *kernel = base.weights[name].shape
        if name.endswith(("to_q", "to_out.0", "conv1", "fc1", "q_proj")):
            factors = {"lora_A": numbers(2, inputs, *kernel), "lora_B": numbers(outputs, 2, *[1 for _ in kernel])}
            changes[name] = Change("LoRA", factors, 0.05)
    assert {name.partition(".")[0] for name in changes} == {"unet", *(t.prefix for t in base.names.text_encoders)}
    write_layout(tmp_path / "one.safetensors", Lora(base.names, "diffusers", "", changes, {}), "diffusers")
    use = LoraUse(tmp_path / "one.safetensors", 0.8)
    into = merge(use, output="base", into_base=str(tmp_path / "sd"))
    rewritten = merge(use, output="kohya.safetensors", layout="kohya", base=str(tmp_path / "sd"))
    size = {"width": 64, "height": 64}
    shown = draw(use, base=tmp_path / "sd", **size)
    for other in (draw(base=into, **size), draw(LoraUse(rewritten), base=tmp_path / "sd", **size)):
        assert difference(picture_of(shown), picture_of(other)) <= LIKENESS
    assert difference(picture_of(shown), picture_of(draw(base=tmp_path / "sd", **size))) > 5, "it must be seen"
