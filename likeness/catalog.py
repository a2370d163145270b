"""The base models Likeness knows: one Card each, and how a user's `base:` leads to a Card."""

import difflib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from likeness.errors import InputError

STARTER_FOLDER = Path(__file__).resolve().parent / "starter"
HUB_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is known of a base model before any of it is loaded.

    `repository` is a hub id, `path` a local folder; a Card that `resolve_base` returns has at least one of them.
    """

    name: str
    family: str
    title: str
    repository: str | None = None
    path: Path | None = None
    licence: str
    languages: tuple[str, ...]
    parameters: str  # of the transformer, as text; '' where unknown
    good_for: str
    resolution: int  # pixels; the side of a square with the area it was trained at
    multiple: int  # width and height must be divisible by this
    distilled: bool = False  # few steps, no guidance: made for drawing, not for training
    edits: bool = False  # takes reference images
    reference_side: int = 64  # pixels; an edit is not drawn with a shorter side than this
    reference_aspect: int = 8  # nor with sides of a larger ratio
    steps: int
    guidance: float
    negative_prompt: bool = True
    text_layers: tuple[int, ...]  # indices into the text encoder's hidden states
    text_tokens: int  # captions are cut or padded to this length
    trains_text_encoder: bool = False
    defaults: dict[str, int | float | str | bool] = field(  # dotted setting -> value, before the user's own
        default_factory=dict[str, int | float | str | bool], hash=False
    )
    runs_on: tuple[str, ...] = ()  # other Cards on which a LoRA trained here works too
    download_bytes: int | None = None  # approximate; 0 = ships inside, None = unknown

    @property
    def location(self) -> str:
        """What loaders are given: the folder where there is one, else the repository."""
        if self.path is not None:
            return str(self.path)
        if self.repository is not None:
            return self.repository
        raise ValueError(f"Card {self.name} has neither a folder nor a repository")

    @property
    def pipeline_arguments(self) -> dict[str, Any]:
        """What a stock pipeline's call needs to encode text as the model was trained."""
        return {"max_sequence_length": self.text_tokens, "text_encoder_out_layers": list(self.text_layers)}

    def edit_size_problem(self, width: int, height: int) -> str | None:
        """Why an edit cannot be drawn at this size (its source picture is brought to it); None where it can."""
        short, long = sorted((width, height))
        if short < self.reference_side:
            return f"{width}x{height} is too small for an edit. Fix: both sides at least {self.reference_side}"
        if long > self.reference_aspect * short:
            return f"{width}x{height} is too long for an edit. Fix: sides of a ratio of at most {self.reference_aspect}"
        return None

    def run_defaults(self) -> dict[str, int | float | str | bool]:
        """Dotted settings that this base fills in where the user says nothing."""
        return {
            "data.resolution": self.resolution,
            "sampling.steps": self.steps,
            "sampling.guidance": self.guidance,
            **self.defaults,
        }


KLEIN_BASE = Card(
    name="flux2",
    family="flux2",
    title="FLUX.2 klein",
    licence="see its own model card",
    languages=("en",),
    parameters="",
    good_for="any FLUX.2 klein model or fine-tune",
    resolution=1024,
    multiple=16,
    edits=True,
    steps=50,
    guidance=4.0,
    text_layers=(9, 18, 27),
    text_tokens=512,
)
KLEIN_DISTILLED: dict[str, Any] = {"distilled": True, "steps": 4, "guidance": 1.0, "negative_prompt": False}
FLUX_NON_COMMERCIAL = "FLUX Non-Commercial License"

_ALL = (
    Card(
        name="starter",
        family="flux2",
        title="Likeness starter",
        path=STARTER_FOLDER,
        licence="Apache-2.0",
        languages=("en",),
        parameters="11.6M",
        good_for="learning how training works, tests and demos on any machine; draws a small cartoon world",
        resolution=128,
        multiple=16,
        edits=True,
        steps=16,
        guidance=2.5,
        text_layers=(1, 2, 3),
        text_tokens=48,
        defaults={
            "data.resolution": 128,
            "train.batch_size": 10,
            "optim.learning_rate": 1e-3,
        },
        download_bytes=0,
    ),
    replace(
        KLEIN_BASE,
        name="flux2-klein-base-4b",
        title="FLUX.2 klein base 4B",
        repository="black-forest-labs/FLUX.2-klein-base-4B",
        licence="Apache-2.0",
        parameters="3.9B",
        good_for="training on one consumer GPU; pictures and edits, free to use",
        runs_on=("flux2-klein-4b",),
        download_bytes=16_000_000_000,  # transformer 7.8 + text encoder 8.0 + VAE 0.2 GB in bf16, by parameter count
    ),
    replace(
        KLEIN_BASE,
        **KLEIN_DISTILLED,
        name="flux2-klein-4b",
        title="FLUX.2 klein 4B (distilled)",
        repository="black-forest-labs/FLUX.2-klein-4B",
        licence="Apache-2.0",
        parameters="3.9B",
        good_for="drawing in 4 steps, with LoRAs trained on flux2-klein-base-4b; training on it is discouraged",
        download_bytes=16_000_000_000,
    ),
    replace(
        KLEIN_BASE,
        name="flux2-klein-base-9b",
        title="FLUX.2 klein base 9B",
        repository="black-forest-labs/FLUX.2-klein-base-9B",
        licence=FLUX_NON_COMMERCIAL,
        parameters="9.1B",
        good_for="training on a large GPU; finer pictures and edits, not for commercial use",
        runs_on=("flux2-klein-9b",),
        download_bytes=34_800_000_000,  # 18.2 + 16.4 + 0.2 GB in bf16, by parameter count
    ),
    replace(
        KLEIN_BASE,
        **KLEIN_DISTILLED,
        name="flux2-klein-9b",
        title="FLUX.2 klein 9B (distilled)",
        repository="black-forest-labs/FLUX.2-klein-9B",
        licence=FLUX_NON_COMMERCIAL,
        parameters="9.1B",
        good_for="drawing in 4 steps, with LoRAs trained on flux2-klein-base-9b; training on it is discouraged",
        download_bytes=34_800_000_000,
    ),
)
CARDS: dict[str, Card] = {card.name: card for card in _ALL}

# diffusers pipeline class in model_index.json -> what to assume of such a folder
PIPELINES: dict[str, Card] = {"Flux2KleinPipeline": KLEIN_BASE}
FAMILIES: tuple[str, ...] = tuple(dict.fromkeys(card.family for card in _ALL))


def find_card(base: str) -> Card | None:
    """The Card with this name or hub repository, in any case of letters."""
    wanted = base.lower()
    for card in CARDS.values():
        if wanted == card.name or (card.repository and wanted == card.repository.lower()):
            return card
    return None


def resolve_base(base: str, near: Sequence[Path] = (Path(),)) -> Card:
    """The Card for what a user wrote as `base`: a catalogue name, a folder, or a hub repository.

    Relative folders are looked for in each folder of `near`. Nothing is downloaded or loaded.
    Raises InputError where nothing fits.
    """
    if card := find_card(base):
        return card
    places = [Path(os.path.abspath(folder / os.path.expanduser(base))) for folder in near]
    for place in places:
        if place.exists():
            return card_for_folder(place)
    if _looks_like_path(base):
        raise InputError(f"base: no folder at {places[0]}; check the path, or name a base model: {_names()}")
    if HUB_NAME.match(base):
        return _card_for_repository(base)
    close = difflib.get_close_matches(base.lower(), CARDS, n=1)
    hint = f"did you mean '{close[0]}'? Known are {_names()}" if close else f"known are {_names()}"
    raise InputError(f"base: no base model called '{base}'; {hint}; 'owner/name' on the hub or a folder will do too")


def card_for_folder(folder: Path) -> Card:
    """The Card for a folder in diffusers layout. Raises InputError where it is not one, or of an unknown family."""
    folder = folder.resolve()
    if folder == STARTER_FOLDER:
        return CARDS["starter"]
    index = _read_json(
        folder / "model_index.json",
        f"base: {folder} is not a diffusers model folder; expected model_index.json in it, beside the folders "
        "transformer, vae, text_encoder, tokenizer and scheduler",
    )
    pipeline = str(index.get("_class_name"))
    if pipeline not in PIPELINES:
        known = ", ".join(PIPELINES)
        raise InputError(f"base: {folder} holds a {pipeline}, which no family here can train; known are {known}")
    card = PIPELINES[pipeline]
    if index.get("is_distilled"):
        card = replace(card, **KLEIN_DISTILLED)
    if _text_encoder_depth(folder) <= max(card.text_layers):
        # Too shallow for a full-size model's layers: a copy of the starter, or a model made in its image.
        starter = CARDS["starter"]
        card = replace(starter, runs_on=(), licence=card.licence, good_for="what it was made for", parameters="")
    return replace(card, name=folder.name, title=folder.name, path=folder, download_bytes=0)


def _card_for_repository(repository: str) -> Card:
    """A guess by name alone, with the settings of undistilled klein; the loader sees the truth after the download."""
    plain = re.sub(r"[._-]", "", repository.lower())
    if "flux2" in plain and "dev" not in plain:
        return replace(KLEIN_BASE, name=repository, title=repository, repository=repository)
    raise InputError(
        f"base: no folder '{repository}' here, and as a hub repository its name tells of no family that can be trained "
        f"(families: {', '.join(FAMILIES)}, recognised by 'flux2' or 'FLUX.2-klein' in the name); "
        f"name one of {_names()}, or download it and give its folder"
    )


def _looks_like_path(base: str) -> bool:
    return base.startswith((".", "/", "~")) or "\\" in base or base.endswith("/") or base.count("/") > 1


def _names() -> str:
    return ", ".join(CARDS)


def _text_encoder_depth(folder: Path) -> int:
    path = folder / "text_encoder" / "config.json"
    config = _read_json(path, f"base: {folder} has no text_encoder/config.json; the model is not complete")
    depth = config.get("num_hidden_layers")
    if not isinstance(depth, int):
        raise InputError(f"base: {path} does not say num_hidden_layers; a Qwen3 text encoder's should")
    return depth


def _read_json(path: Path, if_missing: str) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(if_missing)
    try:
        value: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise InputError(f"base: {path} cannot be read ({e}); download or save the model again") from e
    if not isinstance(value, dict):
        raise InputError(f"base: {path} should hold a JSON object; download or save the model again")
    return value  # pyright: ignore[reportUnknownVariableType]
