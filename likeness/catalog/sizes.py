"""How large the networks of a base are, and what a training step asks of them. For estimates before a start.

Counted from the published configurations without loading anything: parameters and LoRA layers exactly; operations and
kept activations for one picture at the base's own resolution. None was measured on a GPU.
"""

from dataclasses import dataclass, replace

from likeness.catalog.card import Card
from likeness.catalog.header import read_headers
from likeness.catalog.source import DENOISERS, cached_snapshot
from likeness.errors import InputError

SAME = 0.02  # sizes that differ by less are those of the same network
GB = 1e9


@dataclass(frozen=True, kw_only=True)
class Size:
    """Bytes are those of bf16. None: not known."""

    parameters: int  # of the denoiser
    attention: int | None = None  # trained numbers of a LoRA for each unit of rank, with targets 'attention'
    all: int | None = None  # the same with targets 'all'
    width: int | None = None  # numbers for each token between blocks
    blocks: int | None = None
    tokens: int | None = None  # of a picture and its text
    kept: float | None = None  # bytes that the forward pass keeps for the backward pass
    kept_source: float | None = None  # the same with one source picture
    operations: float | None = None  # of a training step, floating point
    operations_source: float | None = None
    text: float | None = None  # bytes of the text encoders
    vae: float = 0.3 * GB
    caption: float = 1e6  # bytes that an encoded caption takes in the cache
    latent: float = 1e6  # and an encoded picture


KLEIN_4B = Size(
    parameters=3_875_544_576, attention=1_167_360, all=1_505_280, width=3072, blocks=25, tokens=4608, kept=19e9,
    kept_source=29e9, operations=80e12, operations_source=188e12, text=8.0e9, caption=7.9e6,
)  # fmt: skip
KLEIN_9B = Size(
    parameters=9_078_581_248, attention=1_998_848, all=2_719_744, width=4096, blocks=32, tokens=4608, kept=35e9,
    kept_source=54e9, operations=167e12, operations_source=382e12, text=16.4e9, caption=12.6e6,
)  # fmt: skip
DEV = Size(
    parameters=32_223_281_152, attention=5_210_112, all=6_291_456, width=6144, blocks=56, tokens=4608, kept=112e9,
    kept_source=160e9, operations=609e12, operations_source=1322e12, text=48e9, caption=15.7e6,
)  # fmt: skip
FLUX3 = Size(
    parameters=5_538_458_368, attention=1_056_768, all=2_509_824, width=3072, blocks=33, tokens=4256, kept=21e9,
    kept_source=36e9, operations=96e12, operations_source=229e12, text=8.9e9, caption=3.3e6,
)  # fmt: skip
QWEN = Size(
    parameters=20_430_401_088, attention=2_936_832, all=9_172_992, width=3072, blocks=60, tokens=4352, kept=45e9,
    kept_source=85e9, operations=167e12, operations_source=432e12, text=16.6e9, latent=0.5e6,
)  # fmt: skip
QWEN_21 = Size(
    parameters=7_115_124_736, attention=1_048_576, all=2_621_440, width=4096, blocks=32, tokens=4352, kept=41e9,
    operations=156e12, operations_source=370e12, text=17.5e9, vae=0.7 * GB, latent=0.5e6,
)  # fmt: skip
Z_IMAGE = Size(
    parameters=6_154_908_736, attention=1_044_480, all=2_480_640, width=3840, blocks=34, tokens=4352, kept=43e9,
    operations=131e12, text=8.0e9, latent=0.5e6,
)  # fmt: skip
FLUX1 = Size(
    parameters=11_901_408_320, attention=1_634_304, all=4_085_760, width=3072, blocks=57, tokens=4608, kept=36e9,
    kept_source=56e9, operations=171e12, operations_source=411e12, text=9.8e9, caption=4.2e6, latent=0.5e6,
)  # fmt: skip
KREA2 = Size(
    parameters=12_820_073_036, attention=1_564_672, all=2_997_133, width=6144, blocks=28, tokens=4608, text=8.9e9,
    caption=31e6, latent=0.5e6,
)  # fmt: skip
SDXL = Size(
    parameters=2_567_463_684, attention=1_451_520, all=2_659_840, kept=9e9, operations=15e12, text=1.6e9,
    caption=0.3e6, latent=0.13e6,
)  # fmt: skip
SD15 = Size(
    parameters=859_520_964, attention=199_296, all=423_936, kept=1e9, operations=1.6e12, text=0.25e9, caption=0.1e6,
    latent=0.03e6,
)  # fmt: skip
STARTER = Size(
    parameters=11_601_408, attention=38_912, all=50_176, width=256, blocks=10, tokens=112, kept=0.02e9,
    kept_source=0.03e9, operations=5.2e9, operations_source=8.2e9, text=0.02e9, vae=0.01 * GB, caption=0.04e6,
    latent=0.02e6,
)  # fmt: skip

_BY_NAME = {
    "starter": STARTER, "starter-distilled": STARTER, "flux2-klein-base-4b": KLEIN_4B, "flux2-klein-4b": KLEIN_4B,
    "flux2-klein-base-9b": KLEIN_9B, "flux2-klein-9b": KLEIN_9B, "flux2-dev": DEV, "sdxl": SDXL, "sd15": SD15,
}  # fmt: skip
_BY_FAMILY = {
    "flux3": FLUX3, "qwen_image": QWEN, "qwen_image_21": QWEN_21, "z_image": Z_IMAGE, "flux1": FLUX1, "krea2": KREA2,
}  # fmt: skip
_ALL = tuple(dict.fromkeys([*_BY_NAME.values(), *_BY_FAMILY.values()]))


def size_of(card: Card) -> Size | None:
    """Of a base in the catalogue, or of one whose files are here; None where nothing is known."""
    if card.name in _BY_NAME and not card.source.parts and card.source.checkpoint is None:
        return _BY_NAME[card.name]
    count = _counted(card)
    if count is None:
        return _BY_NAME.get(card.name) or (_BY_FAMILY.get(card.family) if card.repository else None)
    same = next((size for size in _ALL if abs(size.parameters / count - 1) < SAME), None)
    return same or Size(parameters=count)


def _counted(card: Card) -> int | None:
    """The parameters of the denoiser, from the headers of files that are here."""
    own = dict(card.source.parts).get("transformer")
    fetched = cached_snapshot(card.repository, card.source.revision) if card.repository else None
    folders = [folder / name for folder in (card.path, fetched) if folder is not None for name in DENOISERS]
    for place in [own, *folders] if own else folders:
        try:
            header = read_headers(place) if place.exists() else {}
        except InputError:
            continue
        if header and all(tensor.shape is not None for tensor in header.values()):
            return sum(_product(tensor.shape or ()) for tensor in header.values())
    return None


def _product(shape: tuple[int, ...]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count


def at(size: Size, area: float) -> Size:
    """What a picture takes that has `area` times the base's own pixels: as much more of all that grows with it."""

    def scaled(value: float | None) -> float | None:
        return None if value is None else value * area

    return replace(
        size,
        tokens=None if size.tokens is None else round(size.tokens * area),
        kept=scaled(size.kept),
        kept_source=scaled(size.kept_source),
        operations=scaled(size.operations),
        operations_source=scaled(size.operations_source),
        latent=size.latent * area,
    )
