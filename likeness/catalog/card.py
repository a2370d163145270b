"""The Card: what is known of a base model before any of it is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from likeness.catalog.source import Source


@dataclass(frozen=True, kw_only=True)
class Card:
    """One variant of a model family, as the catalogue or a model's folder describes it.

    `repository` is a hub id, `path` a local folder; a Card that `resolve_base` returns has at least one of them.
    """

    name: str
    family: str  # the module in `likeness.families` that loads it
    pipeline: str  # the stock diffusers pipeline class, as model_index.json names it
    title: str
    repository: str | None = None
    path: Path | None = None
    parts_from: str | None = None  # the Card whose repository has the parts that this one's lacks
    marks: tuple[tuple[str, str, Any], ...] = ()  # (file, key, value) that tell its folder from its sisters'
    # For each layout of its denoiser's files: tensors, with their sizes (None: any), that tell it from all others.
    tensors: tuple[Mapping[str, tuple[int | None, ...]], ...] = field(default=(), repr=False, hash=False)
    source: Source = field(default_factory=Source)  # where its files are, beyond its own folder or repository
    licence: str
    languages: tuple[str, ...]
    parameters: str  # of the transformer, as text; '' where unknown
    good_for: str
    pick: str = ""  # when to choose it rather than its sisters
    successor: str | None = None  # the Card to prefer for new work, where there is one
    resolution: int  # pixels; the side of a square with the area it was trained at
    multiple: int  # width and height must be divisible by this
    distilled: bool = False  # few steps, no guidance: made for drawing, not for training
    max_references: int = 0  # pictures that an edit may start from; 0: takes none
    text_sees_references: bool = False  # the text encoder looks at them too
    reference_side: int = 64  # pixels; an edit is not drawn with a shorter side than this
    reference_aspect: int = 8  # nor with sides of a larger ratio
    steps: int
    guidance: float
    guidance_off: float | None = 1.0  # where there is none; None: an input of the network, which always has some
    negative_prompt: bool = True
    text_layers: tuple[int, ...] = ()  # indices into the text encoder's hidden states, where they are configurable
    text_tokens: int  # longer captions are cut
    text_encoders: int = 1
    call_arguments: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)
    trains_text_encoder: bool = False
    training_adapter: str | None = None  # 'owner/name/file': a LoRA that is active in training alone
    defaults: Mapping[str, int | float | str | bool] = field(  # dotted setting -> value, before the user's own
        default_factory=dict[str, int | float | str | bool], hash=False
    )
    runs_on: tuple[str, ...] = ()  # other Cards on which a LoRA trained here works too
    download_bytes: int | None = None  # approximate; 0 = ships inside, None = unknown

    @property
    def edits(self) -> bool:
        return self.max_references > 0

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
        """What a stock pipeline's call needs beyond the common arguments to encode text as the model was trained."""
        layers = {"max_sequence_length": self.text_tokens, "text_encoder_out_layers": list(self.text_layers)}
        return {**self.call_arguments, **(layers if self.text_layers else {})}

    @property
    def guidance_words(self) -> str:
        """How much is usual, and where it is off."""
        return f"guidance {self.guidance:g}" + ("" if self.guidance_off is None else f" (off at {self.guidance_off:g})")

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
