from likeness.voices.verdict import judge


def held_out(*losses: float) -> dict[int, dict[str, float]]:
    return {epoch: {"held_out": loss} for epoch, loss in enumerate(losses)}


def test_a_loss_that_falls_and_rises_shows_where_it_was_too_long() -> None:
    said = judge(held_out(2.0, 1.5, 1.2, 1.3, 1.5, 1.7))
    assert (said.verdict, said.suggested, said.overfit_from) == ("overfit", 2, 4)


def test_a_loss_that_still_falls_asks_for_more() -> None:
    said = judge(held_out(2.0, 1.8, 1.6, 1.4))
    assert (said.verdict, said.suggested) == ("underfit", 3)


def test_of_epochs_that_are_as_good_the_earliest_is_taken() -> None:
    said = judge(held_out(2.0, 1.2, 1.0, 0.99, 0.985))
    assert (said.verdict, said.suggested) == ("sweet spot", 2)


def test_similarity_counts_before_the_loss_unless_words_are_lost() -> None:
    rows = {
        0: {"held_out": 2.0, "similarity": 0.5, "wer": 0.0},
        1: {"held_out": 1.0, "similarity": 0.8, "wer": 0.02},
        2: {"held_out": 1.5, "similarity": 0.9, "wer": 0.6},
    }
    assert judge(rows).suggested == 1 and judge(rows).by == "similarity"
    rows[2]["wer"] = 0.05
    assert judge(rows).suggested == 2


def test_without_figures_only_ears_can_tell() -> None:
    assert judge({0: {"train": 1.0}, 1: {"train": 0.5}}).suggested is None
    assert judge({1: {"held_out": float("nan")}}).suggested is None
