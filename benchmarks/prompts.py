"""What is drawn at every epoch: prompts that the example has not seen, and prompts that have nothing to do with it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prompt:
    """`scene` and `time` are what the judge should see, as it names them; None where there is none to see."""

    text: str
    scene: str
    time: str | None


@dataclass(frozen=True)
class Trial:
    """One picture to draw at every epoch."""

    prompt: Prompt
    seed: int


# Scenes that are not among the example's pictures. No close-ups: they would not show its bolt.
LEARNED = (
    Prompt("{trigger}, smiling and waving, half body, in the mountains, flat style", "mountains", "day"),
    Prompt("{trigger}, surprised, half body, in a desert at sunset, outline style", "desert", "sunset"),
    Prompt("{trigger}, calm, full body, in a room, flat style", "room", "day"),
    Prompt(
        "{trigger}, sad and with arms raised, half body, in the mountains at night, outline style", "mountains", "night"
    ),
    Prompt("{trigger}, angry and with hands on hips, half body, in a desert, flat style", "desert", "day"),
    Prompt("{trigger}, smiling, half body, in a room at night, watercolor style", "room", "night"),
)
# Nobody here wears anything purple or green.
CONTROLS = (
    Prompt(
        "a girl with long pink hair wearing a red dress, smiling, half body, in a forest, flat style", "forest", "day"
    ),
    Prompt(
        "a boy with short black hair wearing a blue hoodie, calm, half body, in a city, outline style", "city", "day"
    ),
    Prompt("an orange cat, half body, in a meadow, flat style", "meadow", "day"),
    Prompt("a girl with brown hair in a bun wearing a yellow t-shirt, half body, in the mountains", "mountains", "day"),
    Prompt(
        "a boy with curly red hair wearing a white t-shirt, sad, half body, on a beach at sunset", "beach", "sunset"
    ),
    Prompt("a girl with a blonde ponytail in an orange coat, full body, in a desert, outline style", "desert", "day"),
    Prompt("a gray bunny, in a forest at night, flat style", "forest", "night"),
    Prompt("a girl with white bob hair wearing a black hoodie, angry, half body, in a room, flat style", "room", "day"),
)
FIRST_SEED, LEARNED_SEEDS, CONTROL_SEEDS = 11, 2, 1


def trials(quick: bool, times: int = 1) -> tuple[list[Trial], list[Trial]]:
    """The pictures with and without the trigger: about half of them when `quick`, `times` as many by more seeds."""
    learned = range(FIRST_SEED, FIRST_SEED + times * (1 if quick else LEARNED_SEEDS))
    controls = range(FIRST_SEED, FIRST_SEED + times * CONTROL_SEEDS)
    return (
        [Trial(p, s) for s in learned for p in LEARNED],
        [Trial(p, s) for s in controls for p in CONTROLS[: 4 if quick else None]],
    )
