"""How well the example subjects are learned on the starter: is the trait there, is all else left alone, and what do too
many epochs do?

A run of each example, three times as long as its file says, is drawn from at several epochs: prompts that no example
has, with the trigger, and controls without. The attribute judge says what is seen. The command and the table are
`starter_quality`'s.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from torch import nn

from benchmarks.attribute_judge import AttributeJudge, shown
from benchmarks.runs import trained
from benchmarks.wearing import worn
from likeness.config.load import read_config
from likeness.config.sampling import PromptConfig
from likeness.worker.epoch import checkpoint_path
from starter_recipe.examples import EXAMPLES, MIKA
from starter_recipe.world import Picture, caption, random_picture, read, render
from starter_recipe.world.picture import HELD_OUT, can_hold

SERIES = 90_000_000  # seeds that no training takes
TOO_LONG = 3  # times the example's epochs
LOOKED_AT = (0.3, 0.6, 1, 1.5, 2, TOO_LONG)  # times the example's epochs
TRAIT_GOAL, CONTROL_GOAL = 0.8, 0.9  # pictures with the trait, and what is unchanged of the controls, at one epoch
Shot = tuple[Picture, str]  # what should be seen, and the prompt
Draw = Callable[[Path, PromptConfig], Image.Image]  # with what is worn, into a file, unless it is there


@dataclass(frozen=True)
class Subject:
    """`draw`: a picture of the subject, else as random as the world is, and its prompt."""

    example: str
    draw: Callable[[random.Random, Picture], Shot | None]

    @property
    def file(self) -> Path:
        return EXAMPLES / f"{self.example}.yaml"


def _character(rng: random.Random, p: Picture) -> Shot | None:
    if not p.is_person or p.view != "front" or p.framing == "close-up":  # as the example shows her, bolt and all
        return None
    shot = replace(
        MIKA, expression=p.expression, pose=p.pose, framing=p.framing, scene=p.scene, time=p.time, style=p.style,
        backdrop=p.backdrop,
    )  # fmt: skip
    return shot, caption(shot, rng, omit=0, name="mika_char")


def _product(rng: random.Random, p: Picture) -> Shot | None:
    """On its own, or in somebody's hands where there is a person."""
    if p.is_person and p.view == "front":
        shot = replace(
            p, prop=HELD_OUT["prop"][0], prop_colour="orange", framing="half body", pose="standing", accessory="none"
        )
        return (shot, caption(shot, rng, omit=0, instead={"prop": "holding orla_radio"})) if can_hold(shot) else None
    if p.kind != "thing":
        return None
    shot = replace(p, noun=HELD_OUT["noun"][0], colour="orange")
    return shot, caption(shot, rng, omit=0, name="orla_radio")


def _place(rng: random.Random, p: Picture) -> Shot | None:
    if p.framing == "close-up":
        return None
    shot = replace(p, scene=HELD_OUT["scene"][0])
    where = "in willow_garden" + ("" if p.time == "day" else f" at {p.time}")
    return shot, caption(shot, rng, omit=0, instead={"scene": where})


def _style(rng: random.Random, p: Picture) -> Shot:
    shot = replace(p, style=HELD_OUT["style"][0])
    return shot, caption(shot, rng, omit=0, instead={"style": "glass_style"})


SUBJECTS = (
    Subject("character/mika", _character),
    Subject("product/radio", _product),
    Subject("environment/garden", _place),
    Subject("style/glass", _style),
)


def shots(subject: Subject, count: int) -> list[Shot]:
    """Coloured squares with the subject, and their prompts, in scenes that none of its captions names."""
    texts = [path.read_text() for path in sorted(subject.file.with_suffix("").glob("*.txt"))]
    known = {read(text).get("scene") for text in texts}
    rng = random.Random(f"{subject.example} {SERIES}")
    found: list[Shot] = []
    while len(found) < count:
        p = random_picture(rng)
        shot = None if p.is_gray or p.scene in known else subject.draw(rng, p)
        found += [shot] if shot is not None else []
    return found


def controls(count: int) -> list[Shot]:
    """Coloured squares of the world as the starter knows it, and all of them said."""
    rng = random.Random(f"controls {SERIES}")
    found: list[Shot] = []
    while len(found) < count:
        p = random_picture(rng)
        found += [] if p.is_gray else [(p, caption(p, rng, omit=0))]
    return found


def traits(p: Picture) -> dict[str, str]:
    """What is to be seen in it that pretraining never showed."""
    return {field: value for field, value in shown(p).items() if value in HELD_OUT.get(field, ())}


@dataclass(frozen=True)
class Look:
    """What the judge saw at one epoch, all shares from 0 to 1."""

    epoch: int
    most: float  # pictures with the trigger that show more than half of the traits that could be seen
    every: float  # and all of them
    obeyed: float  # of all else that their prompts name
    unchanged: float  # of what the controls' prompts name: judged as in the base's own picture from the same noise
    still_right: float  # the same of what the base's picture shows as asked: what it draws badly is judged at random
    leak: float  # controls that show a trait


@dataclass(frozen=True)
class Learned:
    """One example: looks by epoch, and what the judge says of true pictures."""

    subject: Subject
    pictures: int  # with the trigger, at each epoch
    looks: Sequence[Look]
    most_at_best: float
    obeyed_at_best: float

    @property
    def best(self) -> Look:
        """Nearest to both goals; of those that reach them, the trait most often where it should be and least where it
        should not. The earlier one of two, and never the far too late one."""

        def rank(look: Look) -> tuple[float, float, int]:
            reached = min(look.most / TRAIT_GOAL, look.unchanged / CONTROL_GOAL, 1)
            return round(reached, 3), round(look.most - look.leak, 3), -look.epoch

        return max(self.looks[:-1], key=rank)


def train(
    subject: Subject, workspace: Path, threads: int | None, epochs: int | None = None, settings: Sequence[str] = ()
) -> Path:
    """The folder of a finished run, far too long unless told the `epochs`, with further `settings`; goes on with one
    that was interrupted. Raises RuntimeError."""
    run = workspace / subject.file.stem
    epochs = epochs or TOO_LONG * read_config(subject.file).config.train.epochs
    if checkpoint_path(run, epochs).exists():
        return run
    own = [f"hardware.threads={threads}"] if threads else []
    return trained(subject.file, run, [f"train.epochs={epochs}", "train.sample_every=0", *own, *settings])


def share_of(flags: Sequence[bool]) -> float:
    return float(np.mean(flags)) if flags else 0.0


def traits_seen(seen: Sequence[Mapping[str, str]], wanted: Sequence[Shot]) -> tuple[float, float]:
    """Shares of the pictures that show more than half of their traits, and all of them."""
    parts = [share_of([eyes[f] == v for f, v in traits(p).items()]) for eyes, (p, _) in zip(seen, wanted, strict=True)]
    return share_of([part > 0.5 for part in parts]), share_of([part == 1 for part in parts])


def obeyed(seen: Sequence[Mapping[str, str]], wanted: Sequence[Shot]) -> float:
    """Share of all that the prompts name, and that is no trait."""
    pairs = zip(seen, wanted, strict=True)
    return share_of([eyes[f] == v for eyes, (p, text) in pairs for f, v in read(text).items() if f not in traits(p)])


def learned(
    subject: Subject, run: Path, networks: Mapping[str, nn.Module], picture: Draw, judge: AttributeJudge, folder: Path,
    count: int, epochs: Sequence[int] = (),
) -> Learned:  # fmt: skip
    """Draw with `picture` into `folder`, while `networks` wear each of the epochs in turn, those of LOOKED_AT by
    default, and judge."""
    trials, others = shots(subject, count), controls(max(1, count // 2))
    held_out = {(f, v) for p, _ in trials for f, v in traits(p).items()}
    length = read_config(subject.file).config.train.epochs
    epochs = epochs or sorted({max(1, round(length * part)) for part in LOOKED_AT})

    def drawn(wanted: Sequence[Shot], epoch: int, kind: str) -> list[Image.Image]:
        place = folder / f"epoch-{epoch:03d}"
        return [
            picture(place / f"{kind}-{number:03d}.png", PromptConfig(prompt=text, seed=number))
            for number, (_, text) in enumerate(wanted)
        ]

    with worn(networks, None):
        before = judge.look(drawn(others, 0, "control"))
    looks: list[Look] = []
    for epoch in epochs:
        with worn(networks, checkpoint_path(run, epoch)):
            seen, after = judge.look(drawn(trials, epoch, "trigger")), judge.look(drawn(others, epoch, "control"))
        rows = [(a[f], b[f], v) for a, b, (_, text) in zip(after, before, others, strict=True)
                for f, v in read(text).items()]  # fmt: skip
        leaking = [any(eyes[f] == v for f, v in held_out) for eyes in after]
        most, every = traits_seen(seen, trials)
        looks.append(
            Look(
                epoch, most, every, obeyed(seen, trials), share_of([a == b for a, b, _ in rows]),
                share_of([a == b for a, b, asked in rows if b == asked]), share_of(leaking),
            )
        )  # fmt: skip
    truth = judge.look([render(p, SERIES + i) for i, (p, _) in enumerate(trials)])
    return Learned(subject, count, looks, traits_seen(truth, trials)[0], obeyed(truth, trials))
