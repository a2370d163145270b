"""Datasets and settings with a fault that is known, because it was put there. Needs the renderer (skia)."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from likeness import durable
from likeness.config.document import set_in
from likeness.config.tree import parse_key
from starter_recipe.examples import MIKA
from starter_recipe.world import Picture, caption, random_picture, render
from starter_recipe.world.picture import BACKDROPS, TIMELESS_SCENES

TRIGGER = "mika_char"
PICTURES = 12  # two of which are held out by themselves
# What the judged prompts ask for is not among them: mountains, desert, room.
SCENES = ("meadow", "plain", "city", "forest", "beach", "snow", "farm", "harbour", "playground", "library")
EXPRESSIONS = ("smiling", "sad", "angry", "surprised", "calm")
POSES = ("standing", "standing", "waving", "with arms raised", "with hands on hips")
FRAMINGS = ("half body", "half body", "half body", "full body", "close-up")
STYLES = ("flat", "outline", "watercolor")
# Seen by the scorecard alone; the judge's are others (prompts.py).
LEARNED = (
    "{trigger}, smiling, half body, in the snow, flat style",
    "{trigger}, calm and with arms raised, half body, in a castle at night, outline style",
    "{trigger}, sad, half body, in a kitchen, flat style",
)
# They leave open what the subject would fill in: a control that says hair and clothes holds on to them.
CONTROLS = (
    "a girl, calm, half body, in a city, flat style",
    "a boy, smiling, half body, on a beach, outline style",
)
# A prompt that names a style holds on to it: those of a style's controls name none.
STYLE_CONTROLS = tuple(text.rpartition(",")[0] for text in CONTROLS)


@dataclass(frozen=True)
class Condition:
    """A planted truth. `kinds`: verdicts that agree with it; `flags`: of which one must be raised; `silent`: of which
    none may be; where all are empty, nothing is expected of the run alone. `judged`: whether the attribute judge knows
    what is learned, and it is worth its time."""

    name: str
    kinds: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    settings: dict[str, object] = field(default_factory=dict[str, object])
    data: str = "varied"
    judged: bool = True


# The expectations, written down before the first planted run; that of "preserving" before its own first. The base's own
# settings are rate 0.001, batch 10.
CONDITIONS = (
    Condition("good", kinds=("sweet spot",), settings={"data.datasets.0.repeats": 15}),
    Condition("too few steps", kinds=("underfit",), settings={"data.datasets.0.repeats": 2}),
    Condition(
        "rate too high", kinds=("overfit",), settings={"data.datasets.0.repeats": 15, "optim.learning_rate": 0.008}
    ),
    Condition("far too many steps", kinds=("overfit",), settings={"data.datasets.0.repeats": 60}),
    Condition(
        "same pose",
        flags=("copies", "monotonous", "one composition"),
        settings={"data.datasets.0.repeats": 15},
        data="same pose",
    ),
    Condition("trigger missing", flags=("leaks",), settings={"data.datasets.0.repeats": 15}, data="no trigger"),
    Condition(
        "leaking style",
        flags=("leaks",),
        settings={"data.datasets.0.repeats": 15, "kind": "style"},
        data="style",
        judged=False,
    ),
    # The counterpart of the two before: a flag that is always raised would agree with both.
    Condition(
        "preserving",
        silent=("leaks",),
        settings={"data.datasets.0.repeats": 15, "preserve.weight": 1, "preserve.class_word": "a girl"},
        judged=False,
    ),
    # Beside the good run of its seed: the same in all but train.seed. Which is better cannot be told.
    Condition("good again", settings={"data.datasets.0.repeats": 15, "train.seed": 4242}),
)


def make_dataset(folder: Path, data: str, seed: int) -> None:
    """Draw a dataset; the same for the same seed."""
    draw: dict[str, Callable[[random.Random], list[tuple[Picture, str]]]] = {
        "varied": _varied,
        "same pose": _same_pose,
        "no trigger": _no_trigger,
        "style": _style,
    }
    for number, (picture, text) in enumerate(draw[data](random.Random(f"{data} {seed}")), start=1):
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(render(picture, 1000 * seed + number)).save(folder / f"{number:02d}.png")
        durable.write_text(folder / f"{number:02d}.txt", text + "\n")


def _varied(rng: random.Random) -> list[tuple[Picture, str]]:
    shots = [_shot(rng) for _ in range(PICTURES)]
    return [(shot, caption(shot, rng, omit=0, name=TRIGGER)) for shot in shots]


def _shot(rng: random.Random) -> Picture:
    scene = rng.choice(SCENES)
    return replace(
        MIKA,
        expression=rng.choice(EXPRESSIONS),
        pose=rng.choice(POSES),
        framing=rng.choice(FRAMINGS),
        scene=scene,
        time="day" if scene in TIMELESS_SCENES else rng.choice(("day", "day", "sunset", "night")),
        style=rng.choice(STYLES),
        backdrop=rng.choice(BACKDROPS),
    )


def _same_pose(rng: random.Random) -> list[tuple[Picture, str]]:
    """One pose, framing, place and style; the captions say nothing of them."""
    shot = replace(_shot(rng), pose="with hands on hips", framing="half body", scene="city", time="day", style="flat")
    shots = [replace(shot, expression=rng.choice(EXPRESSIONS)) for _ in range(PICTURES)]
    return [(s, f"{TRIGGER}, {s.expression}") for s in shots]


def _no_trigger(rng: random.Random) -> list[tuple[Picture, str]]:
    """Half of the captions speak of 'a girl' where the trigger should stand. Where all do, training is refused."""
    return [
        (p, text.replace(TRIGGER, "a girl") if number % 2 else text) for number, (p, text) in enumerate(_varied(rng))
    ]


def _style(rng: random.Random) -> list[tuple[Picture, str]]:
    """A style that the base does not know, with the trigger in half of the captions only."""
    found: list[tuple[Picture, str]] = []
    while len(found) < PICTURES:
        p = random_picture(rng)
        if p.kind == "thing" or p.view != "front":
            continue
        p = replace(p, style="stained glass")
        text = caption(p, rng, omit=0, instead={"style": ""})
        found.append((p, f"{TRIGGER}, {text}" if len(found) % 2 else text))
    return found


def write_settings(path: Path, condition: Condition, seed: int, pictures: Path, name: str, threads: int) -> None:
    """A settings file for `likeness train`. Settings are written with dots, as for --set."""
    style = condition.data == "style"
    learned: Sequence[str] = [p.replace("{trigger}", TRIGGER) for p in LEARNED]
    if style:
        learned = [
            f"{TRIGGER}, {p}" for p in ("a girl in a red coat in the snow", "a cat in a farm", "a boy in a city")
        ]
    tree: dict[str, Any] = {
        "name": name,
        "kind": "character",
        "base": "starter",
        "trigger": TRIGGER,
        "data": {"datasets": [{"path": str(pictures)}]},
        "train": {"epochs": 10, "seed": seed},
        "sampling": {"prompts": [*learned, *(STYLE_CONTROLS if style else CONTROLS)], "max_prompts": 5},
        "scorecard": {"seeds": 2},
        "hardware": {"threads": threads},
    }
    for setting, value in condition.settings.items():
        set_in(tree, parse_key(setting), value)
    durable.write_text(path, json.dumps(tree, indent=2))  # JSON is YAML
