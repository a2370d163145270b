"""What a run will cost: from earlier runs where there are any, else computed, else not told."""

from dataclasses import replace
from pathlib import Path

import pytest

from likeness.catalog import CARDS
from likeness.catalog.sizes import size_of
from likeness.config.load import Loaded
from likeness.config.plan import count_steps
from likeness.config.run import RunConfig
from likeness.service import costs
from likeness.service.costs import Cost, Measured
from likeness.service.machine import Device, Machine
from likeness.service.runs import Prepared

GB = 10**9
CPU = Device("cpu", "CPU", "8 cores", 16 * GB, True, 5e11)


def gpu(gigabytes: int) -> Device:
    return Device("cuda:0", "CUDA", f"GPU of {gigabytes} GB", gigabytes * GB, True, 2e14)


def cost(base: str, device: Device, *earlier: Measured, disk: int = 10**13, **groups: object) -> Cost:
    tree = {"name": "x", "base": base, "data": {"datasets": [{"path": "x", "repeats": 10}]}, **groups}
    card = CARDS[base]
    config = RunConfig.model_validate(tree)
    plan = count_steps([(20, 10)], config.train.epochs, config.train.batch_size, config.train.gradient_accumulation)
    prepared = Prepared(Loaded(config, {}, card, Path("x.yaml")), [], plan, [], [], [])
    return costs.estimate(prepared, Machine((device,), 8, 8, 64 * GB, disk), earlier)


def measured(**values: object) -> Measured:
    usual = Measured(
        run="before", base=CARDS["sdxl"].location, device="cuda:0", kind="character", side=1024, batch=1, rank=16,
        optimizer="adamw", precision="bf16", quantize="none", checkpointing="none", offload=0.0, preserves=False,
        images_per_second=4.0, memory_bytes=17 * GB, pictures_seconds=3.0, start_seconds=40.0,
    )  # fmt: skip
    return replace(usual, **values)  # type: ignore[arg-type]


def test_a_run_like_an_earlier_one_costs_the_same() -> None:
    found = cost("sdxl", gpu(24), measured())
    assert found.time.low is not None and found.time.high is not None
    assert found.time.low < 2000 / 4 + 40 < found.time.high and "as fast as run before" in found.time.source
    assert found.memory.source == "measured in run before" and found.memory.high == pytest.approx(17.85 * GB)
    assert found.fits == "yes"


def test_other_settings_are_reckoned_with_and_told() -> None:
    same, smaller = cost("sdxl", gpu(24), measured()), cost("sdxl", gpu(24), measured(), data={
        "datasets": [{"path": "x", "repeats": 10}], "resolution": 512})  # fmt: skip
    assert smaller.time.high is not None and same.time.high is not None and smaller.time.high < same.time.high
    assert "with other settings" in smaller.time.source and "computed" in smaller.memory.source
    slower = cost("sdxl", gpu(24), measured(), hardware={"checkpointing": "blocks"})
    assert slower.time.high is not None and slower.time.high > same.time.high
    both = [cost("sdxl", gpu(24), measured(preserves=p), preserve={"weight": 1}).time.high for p in (False, True)]
    assert both[0] is not None and both[1] is not None and both[0] > 2.2 * both[1]


def test_of_earlier_runs_the_one_most_alike_counts() -> None:
    unlike = measured(run="unlike", side=512, images_per_second=30.0)
    assert "run before" in cost("sdxl", gpu(24), unlike, measured()).time.source


@pytest.mark.parametrize("change", [{"base": "another"}, {"device": "cpu"}, {"images_per_second": 0.0}])
def test_runs_that_say_nothing_of_this_one_are_left_out(change: dict[str, object]) -> None:
    assert cost("sdxl", gpu(24), measured(**change)).time.source.startswith("rough: 15 teraflop an example")


def test_pictures_on_the_way_take_time() -> None:
    without, with_some = cost("sdxl", gpu(24), measured()), cost(
        "sdxl", gpu(24), measured(), sampling={"prompts": ["a", "b"]})  # fmt: skip
    assert with_some.time.low is not None and without.time.low is not None
    assert with_some.time.low - without.time.low == pytest.approx(11 * 2 * 3.0 * 0.85)


def test_what_is_not_known_is_not_told() -> None:
    found = cost("krea2-raw", gpu(80))
    assert found.time == costs.Figure(None, None, costs.UNKNOWN)
    assert found.memory.high is None and found.fits == "unknown"
    no_speed = cost("sdxl", replace(gpu(24), flops=None))
    assert no_speed.time.source == costs.UNKNOWN


@pytest.mark.parametrize(
    ("base", "gigabytes", "hardware", "fits"),
    [
        ("sdxl", 24, {}, "yes"),
        ("sdxl", 12, {}, "no"),
        ("sdxl", 12, {"checkpointing": "blocks"}, "yes"),
        ("flux2-klein-base-4b", 80, {}, "yes"),
        ("flux2-klein-base-4b", 24, {"checkpointing": "blocks"}, "yes"),
        ("flux2-klein-base-9b", 48, {}, "no"),
        ("flux2-dev", 80, {"checkpointing": "blocks", "quantize": "nf4"}, "tight"),
        ("qwen-image-2512", 24, {"checkpointing": "blocks"}, "no"),
    ],
)
def test_whether_it_fits(base: str, gigabytes: int, hardware: dict[str, object], fits: str) -> None:
    assert cost(base, gpu(gigabytes), hardware=hardware).fits == fits


def test_what_would_make_it_fit_is_told_and_does() -> None:
    found = cost("flux2-klein-base-9b", gpu(32))
    assert found.fits == "no" and "GPU of 32 GB has 32 GB" in found.why
    wanted = {fix.field.removeprefix("hardware."): fix.value for fix in found.fixes}
    assert wanted == {"checkpointing": "blocks", "quantize": "nf4"}
    assert cost("flux2-klein-base-9b", gpu(32), hardware=wanted).fits == "yes"
    assert cost("flux2-dev", gpu(8)).fixes == ()


def test_a_large_batch_is_made_up_for() -> None:
    found = cost("sdxl", gpu(24), train={"batch_size": 4})
    assert {fix.field: fix.value for fix in found.fixes} == {"hardware.checkpointing": "blocks"}
    small = cost("sdxl", gpu(16), train={"batch_size": 64}, lora={"type": "dora"})
    assert {fix.field: fix.value for fix in small.fixes}["train.gradient_accumulation"] == "64"


def test_a_full_disk_is_told_before_anything_else() -> None:
    found = cost("sdxl", gpu(24), disk=10**9)
    assert found.fits == "no" and "GB are free" in found.why


def test_more_epochs_take_more_disk() -> None:
    few, many = (cost("sdxl", gpu(24), train={"epochs": epochs}) for epochs in (2, 20))
    assert few.disk.high is not None and many.disk.high is not None
    assert many.disk.high - few.disk.high == pytest.approx(18 * 2_659_840 * 16 * 2 * 1.5)


def test_every_base_has_a_size() -> None:
    for card in CARDS.values():
        size = size_of(card)
        assert size is not None and size.all and size.attention and size.text, card.name
        told = float(card.parameters[:-1]) * {"B": 1e9, "M": 1e6}[card.parameters[-1]]
        assert size.parameters == pytest.approx(told, rel=0.05), card.name


def test_bases_are_judged_for_a_machine() -> None:
    def judged(base: str, device: Device) -> str:
        return costs.fit_of(CARDS[base], Machine((device,), 8, 8, 64 * GB, 10**13))[0]

    assert judged("starter", CPU) == "yes"
    assert judged("flux2-klein-base-4b", CPU) == "no", "it would fit, and take minutes a step"
    assert judged("flux2-klein-base-4b", gpu(48)) == "yes"
    fits, why, ways = costs.fit_of(CARDS["flux2-klein-base-4b"], Machine((gpu(24),), 8, 8, 64 * GB, 10**13))
    assert (fits, ways) == ("tight", ("hardware.checkpointing: blocks",)) and "fits on GPU of 24 GB with" in why
