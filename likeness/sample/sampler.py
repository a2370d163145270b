"""Requests for pictures, resolved against the base's Card, and drawn one by one.

One picture at a time: a batch would round differently, and any picture must be repeatable alone.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, PngImagePlugin

from likeness import durable
from likeness.catalog import Card
from likeness.config.sampling import PromptConfig, SamplingConfig
from likeness.dataset.buckets import drawing_size, fit
from likeness.dataset.formats import open_rgb
from likeness.families.base import Condition, Family, Picture


@dataclass(frozen=True)
class Request:
    """One picture to draw, with every value settled."""

    prompt: str
    negative_prompt: str
    width: int
    height: int
    steps: int
    guidance: float
    seed: int
    references: tuple[str, ...] = ()  # paths of the source pictures

    @property
    def texts(self) -> tuple[str, str]:
        return self.prompt, self.negative_prompt


def settle(prompt: PromptConfig, sampling: SamplingConfig, card: Card) -> Request:
    """A prompt's own values, else the run's, else the base's. An edit takes the size of its source picture."""
    source = open_rgb(Path(prompt.reference[-1])) if prompt.reference else None
    width, height = prompt.width or sampling.width, prompt.height or sampling.height
    width, height = drawing_size(width, height, source, card.resolution, card.multiple)
    negative = sampling.negative_prompt if prompt.negative_prompt is None else prompt.negative_prompt
    return Request(
        prompt=prompt.prompt,
        negative_prompt=negative,
        width=_rounded(width, card.multiple),
        height=_rounded(height, card.multiple),
        steps=sampling.steps or card.steps,
        guidance=card.guidance if sampling.guidance is None else sampling.guidance,
        seed=sampling.seed if prompt.seed is None else prompt.seed,
        references=tuple(prompt.reference),
    )


def encode_texts(family: Family, request: Request) -> dict[str, Condition]:
    """The request's prompt and negative prompt, encoded as the family does beside its source pictures."""
    references = references_of(family, request) if family.card.text_sees_references else []
    texts = list(dict.fromkeys(request.texts))
    return dict(zip(texts, family.encode_text(texts, references), strict=True))


def references_of(family: Family, request: Request) -> list[Image.Image]:
    """The source pictures at the sizes that the family encodes them in."""
    found: list[Image.Image] = []
    for path in request.references:
        source = open_rgb(Path(path))
        found.append(fit(source, family.reference_size(source.size, (request.width, request.height))))
    return found


def _rounded(side: int, multiple: int) -> int:
    return max(multiple, side // multiple * multiple)


def draw(
    family: Family,
    request: Request,
    conditions: Mapping[str, Condition],
    on_step: Callable[[int], None] | None = None,
) -> Image.Image:
    """Draw with the LoRAs that are active now. `conditions` hold the encoded prompt and negative prompt by text."""
    picture = Picture(
        condition=conditions[request.prompt],
        negative=conditions[request.negative_prompt],
        width=request.width,
        height=request.height,
        steps=request.steps,
        guidance=request.guidance,
        seed=request.seed,
        references=tuple(references_of(family, request)),
    )
    return family.sample(picture, on_step)


def save_png(path: Path, image: Image.Image, request: Request) -> None:
    """Write durably, with the prompt and settings as text in the file, as other tools read them."""
    text = PngImagePlugin.PngInfo()
    text.add_itxt(
        "parameters",
        f"{request.prompt}\nNegative prompt: {request.negative_prompt}\nSteps: {request.steps}, "
        f"CFG scale: {request.guidance}, Seed: {request.seed}, Size: {request.width}x{request.height}",
    )
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=text)
    durable.write_bytes(path, buffer.getvalue())
