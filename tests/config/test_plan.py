import pytest

from likeness.catalog import CARDS, Card
from likeness.config.plan import Suggestion, count_steps, hold_out_size, suggestions
from likeness.config.run import RunConfig
from likeness.errors import InputError

KLEIN, STARTER = CARDS["flux2-klein-base-4b"], CARDS["starter"]


def config(
    rate: float = 1e-4, epochs: int = 10, repeats: int = 20, batch: int = 1, accumulation: int = 1, **optim: str
):
    return RunConfig.model_validate(
        {
            "name": "a",
            "base": "b",
            "data": {"datasets": [{"path": "p", "repeats": repeats}]},
            "train": {"epochs": epochs, "batch_size": batch, "gradient_accumulation": accumulation},
            "optim": {"learning_rate": rate, **optim},
        }
    )


def advised(num_images: int, run: RunConfig, card: Card = KLEIN) -> dict[str, str]:
    return {s.field: s.value for s in suggestions(num_images, run, card)}


def test_steps_are_images_times_repeats_times_epochs_over_batch():
    plan = count_steps([(12, 20)], epochs=10, batch_size=1, gradient_accumulation=1, held_out=2)
    assert (plan.images, plan.held_out, plan.examples_per_epoch) == (12, 2, 240)
    assert (plan.steps_per_epoch, plan.steps) == (240, 2400)
    assert plan.arithmetic == "12 images × 20 repeats × 10 epochs ÷ (batch 1 × accumulation 1) = 2400 steps"


def test_each_epoch_ends_with_its_own_step():
    plan = count_steps([(7, 3), (2, 2)], epochs=4, batch_size=2, gradient_accumulation=3)
    assert (plan.examples_per_epoch, plan.steps_per_epoch, plan.steps) == (25, 5, 20)
    assert plan.arithmetic == (
        "(7 images × 3 repeats + 2 images × 2 repeats) × 4 epochs ÷ (batch 2 × accumulation 3) = 20 steps, "
        "with each epoch rounded up"
    )


@pytest.mark.parametrize(
    ("images", "held_out"),
    [(1, 0), (7, 0), (8, 1), (11, 1), (12, 2), (24, 2), (25, 2), (29, 2), (30, 3), (99, 9), (100, 10)],
)
def test_automatic_hold_out(images: int, held_out: int):
    assert hold_out_size(images, "auto") == held_out


def test_chosen_hold_out():
    assert (hold_out_size(100, 0), hold_out_size(4, 3), hold_out_size(0, 0)) == (0, 3, 0)
    with pytest.raises(InputError, match=r"data.hold_out: 4 of 4 images would leave none"):
        hold_out_size(4, 4)


def test_few_images():
    expected = {"optim.learning_rate": "5e-5", "train.epochs": "15–20", "data.datasets.0.repeats": "25–30"}
    assert advised(5, config()) == advised(8, config()) == expected
    assert advised(6, config(5e-5, epochs=15, repeats=30)) == {}


def test_some_images_need_no_change_from_the_defaults():
    for images in (9, 10, 25):
        assert advised(images, config()) == {}
    assert advised(20, config(3e-4, epochs=3, repeats=50)) == {
        "optim.learning_rate": "1e-4",
        "train.epochs": "10",
        "data.datasets.0.repeats": "15–20",
    }


def test_many_images():
    expected = {"optim.learning_rate": "2e-4", "train.epochs": "6–8", "data.datasets.0.repeats": "10–15"}
    assert advised(26, config()) == expected
    assert advised(26, config(2e-4, epochs=8, repeats=10)) == {}


def test_too_few_images_are_told():
    found = suggestions(3, config(5e-5, epochs=20, repeats=30), KLEIN)
    assert [s.field for s in found] == ["data.datasets"]
    assert "with 3 " in found[0].reason
    assert "data.datasets" not in advised(5, config())


def only(found: list[Suggestion], field: str) -> Suggestion:
    (one,) = [s for s in found if s.field == field]
    return one


def test_a_larger_batch_shows_both_rules():
    found = only(suggestions(20, config(batch=2, accumulation=2, rate=5e-5), KLEIN), "optim.learning_rate")
    assert found.value == "2e-4 (×√4) or 4e-4 (×4)"
    assert "square root better" in found.reason
    for rate in (2e-4, 3e-4, 4e-4):
        assert advised(20, config(rate, batch=4)) == {}


def test_a_card_with_its_own_rate_scales_the_advice():
    assert (STARTER.defaults["optim.learning_rate"], STARTER.defaults["train.batch_size"]) != (1e-4, 1)
    rate, batch = float(STARTER.defaults["optim.learning_rate"]), int(STARTER.defaults["train.batch_size"])
    assert advised(20, config(rate, batch=batch), STARTER) == {}
    found = only(suggestions(6, config(rate, batch=batch), STARTER), "optim.learning_rate")
    assert float(found.value) == pytest.approx(rate / 2)
    assert "5e-5 suits 5 to 8 images on full-size bases" in found.reason
    assert "Likeness starter itself starts at" in found.reason
    smaller = only(suggestions(20, config(rate, batch=1), STARTER), "optim.learning_rate")
    assert f"(×√{1 / batch:g})" in smaller.value


def test_optimizers_with_steps_of_their_own():
    assert advised(20, config(1e-4, optimizer="prodigy")) == {"optim.learning_rate": "1"}
    assert advised(20, config(1.0, optimizer="prodigy")) == {}
    assert "optim.learning_rate" not in advised(6, config(1e-4, optimizer="lion"))


def test_a_distilled_base_is_not_for_training():
    assert advised(20, config(), CARDS["flux2-klein-4b"]) == {"base": "flux2-klein-base-4b"}
    assert advised(20, config(), CARDS["flux2-klein-9b"])["base"] in CARDS
