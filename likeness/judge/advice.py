"""What to change next, by verdict: the table of docs/guides/compare-and-choose.md with a run's own numbers."""

from collections.abc import Iterator

from likeness.config.run import RunConfig
from likeness.judge.recommend import Verdict

FEW, MANY = 10, 25  # pictures


def advise(verdict: Verdict, config: RunConfig, images: int) -> list[str]:
    """One sentence for each thing to try, the first one first. Change one thing at a time."""
    return [*_about_the_length(verdict, config), *_about_flags(verdict, config), *_about_the_data(verdict, images)]


def _about_the_length(verdict: Verdict, config: RunConfig) -> Iterator[str]:
    epochs, rate = config.train.epochs, config.optim.learning_rate
    match verdict.kind:
        case "underfit" if config.optim.schedule == "constant":
            more = epochs + max(2, epochs // 2)
            yield f"Go on: --resume --set train.epochs={more} trains {more - epochs} more epochs."
        case "underfit":
            yield f"Train longer under a new name: train.epochs: {epochs + max(2, epochs // 2)}."
        case "overfit" if verdict.suggested is None:
            yield f"Nothing was gained at this rate. Lower optim.learning_rate to a fifth: {rate / 5:.2g}."
        case "overfit":
            yield (
                f"Lower optim.learning_rate to half, {rate / 2:.2g}, or lower repeats: the good epochs are over too "
                "soon to choose among them."
            )
        case "sweet spot" if verdict.overfit_from is not None and verdict.overfit_from < epochs:
            yield f"Nothing needs to change. A new run can end at train.epochs: {verdict.overfit_from}."
        case "cannot tell" if verdict.suggested is None:
            yield (
                f"If the grid shows little of what should be learned, raise optim.learning_rate to {rate * 2:.2g} or "
                "train longer. Hold out more pictures (data.hold_out) to see more in the loss."
            )
        case _:
            pass


def _about_flags(verdict: Verdict, config: RunConfig) -> Iterator[str]:
    weight = config.preserve.weight
    hold = f"raise preserve.weight above {weight:g}" if weight else "set preserve.weight: 1"
    words = {
        "copies": "Test pictures repeat training pictures: take an earlier epoch, add more varied pictures, or lower "
        f"lora.rank below {config.lora.rank}.",
        "monotonous": "Test pictures look much alike: vary poses, places and framing in the dataset, and say them in "
        "the captions.",
        "one composition": "The training pictures are of one composition, and test pictures take it over, whatever the "
        "prompt: vary pose, framing and place in the dataset, and say them in the captions.",
        "leaks": "Prompts without the trigger show what was learned: see that every caption holds the trigger, take an "
        f"earlier epoch, or {hold}, which holds what captions without the trigger show.",
        "not followed": "The sources come back nearly unchanged: train longer, or see that the pairs differ enough.",
        "not preserved": "More changes than the instruction asks for: align the pairs, and take an earlier epoch.",
    }
    yield from (words[flag] for flag in verdict.flags if flag in words)


def _about_the_data(verdict: Verdict, images: int) -> Iterator[str]:
    if verdict.kind == "overfit" and images < FEW:
        yield f"{images} pictures are few; with {FEW} to {MANY} varied ones it overfits later."
