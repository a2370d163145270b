"""What a file or folder of weights holds: which part of which base model, by the names and sizes of its tensors."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from likeness.catalog.card import Card
from likeness.catalog.cards import CARDS
from likeness.catalog.header import PICKLES, SAFETENSORS, Header, Tensor, read_headers
from likeness.errors import InputError

# What other programs put before the names of a denoiser's tensors.
PREFIXES = ("model.diffusion_model.", "diffusion_model.")
_LORA = re.compile(r"\.(lora_(A|B|down|up)|lokr_w[12]|hada_w[12])\b")
_WHOLE_VAE, _WHOLE_TEXT = "first_stage_model.", ("cond_stage_model.", "conditioner.")
_VAE = re.compile(r"^(first_stage_model\.|vae\.)?(encoder|decoder)\.(conv_in|conv_out|conv1|conv_norm_out|mid)\b")
_TEXT = re.compile(r"(^|\.)(embed_tokens|token_embedding|shared)\.weight$")
_FLOATS = ("", "F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
# Beside a weight in fp8: what to multiply it with.
SCALES = (".weight_scale", ".scale_weight")


@dataclass(frozen=True)
class Contents:
    """What is in a file or folder. `cards`: those that a denoiser in it fits in names and sizes, best first;
    `families`: those that it fits in names alone."""

    part: str  # 'transformer', 'vae', 'text_encoder', 'checkpoint', 'LoRA' or ''
    cards: tuple[Card, ...] = ()
    families: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        if self.part == "":
            return "nothing that is known here"
        article = "a transformer" if self.part == "transformer" else f"a {self.part.replace('_', ' ')}"
        if self.part in ("transformer", "checkpoint"):
            what = self.cards[0].title if self.cards else f"family {' or '.join(self.families)}, of an unlisted size"
            return f"{article} of {what}"
        return article


def look_into(place: Path, *, allow_pickle: bool = False) -> Contents:
    """What the file or folder holds. Raises InputError, beginning with the path, for one that is damaged, of a kind
    that is not read here, or in a number format that is not."""
    if place.is_file():
        check_kind(place, allow_pickle=allow_pickle)
    header = read_headers(place)
    if problem := number_problem(header):
        raise InputError(f"{place}: {problem}")
    return contents(header)


def check_kind(path: Path, *, allow_pickle: bool = False) -> None:
    """Raises InputError for a file that is not read here, or only when asked for."""
    kind = path.suffix.lower()
    if kind == SAFETENSORS or (kind in PICKLES and allow_pickle):
        return
    if kind in PICKLES:
        raise InputError(
            f"{path}: a {kind} file is a pickle, which can run code of its own when it is opened. Fix: take the "
            "model's .safetensors, or, if you trust where it comes from, set model.allow_pickle: true"
        )
    if kind == ".gguf":
        raise InputError(f"{path}: GGUF files cannot be trained on. Fix: take the model's .safetensors in bf16 or fp8")
    raise InputError(f"{path}: is no file of weights that is read here. Fix: give a .safetensors file or a folder")


def contents(header: Header) -> Contents:
    if any(_LORA.search(name) for name in header):
        return Contents("LoRA")
    plain = {without_prefix(name): tensor for name, tensor in header.items()}
    by_names = {card.name: score for card in CARDS.values() if (score := _score(card, plain, sizes=False))}
    if by_names:
        scores = {card.name: score for card in CARDS.values() if (score := _score(card, plain, sizes=True))}
        best = max(scores.values(), default=0)
        fitting = tuple(CARDS[name] for name, score in scores.items() if score == best)
        most = max(by_names.values())
        families = tuple(dict.fromkeys(CARDS[name].family for name, score in by_names.items() if score == most))
        whole = any(n.startswith(_WHOLE_VAE) for n in header) and any(n.startswith(_WHOLE_TEXT) for n in header)
        return Contents("checkpoint" if whole else "transformer", fitting, families)
    if any(_VAE.search(name) for name in header):
        return Contents("vae")
    return Contents("text_encoder" if any(_TEXT.search(name) for name in header) else "")


def number_problem(header: Header) -> str | None:
    """Why weights in these number formats cannot be read; None where they can."""
    for name, tensor in header.items():
        if name.endswith((".weight_scale_2", ".absmax")) or ".quant_state." in name:
            return _unreadable("in 4 bits", name)
        if name.endswith(".weight") and len(tensor.shape or ()) >= 2 and tensor.dtype not in _FLOATS:
            return _unreadable(f"in {tensor.dtype}", name)
        weight = next((header.get(name.removesuffix(s) + ".weight") for s in SCALES if name.endswith(s)), None)
        if weight is not None and not _scales(tensor, weight):
            return _unreadable("with one scale per block", name)
    return None


def _unreadable(how: str, name: str) -> str:
    return (
        f"its weights are stored {how} ({name}), which cannot be trained on here. Fix: take the file in bf16, fp16 or "
        "fp8 (plain, or with one scale per layer or row)"
    )


def _scales(scale: Tensor, weight: Tensor) -> bool:
    """Is this one number for the whole weight, or one for each of its rows?"""
    if scale.shape is None or weight.shape is None:
        return True
    count = 1
    for side in scale.shape:
        count *= side
    per_row = scale.shape in (weight.shape[:1], (*weight.shape[:1], 1))
    return scale.dtype in ("F32", "F16", "BF16") and (count == 1 or per_row)


def without_prefix(name: str) -> str:
    """The name of a denoiser's tensor as its makers or diffusers have it."""
    return next((name.removeprefix(p) for p in PREFIXES if name.startswith(p)), name)


def _score(card: Card, header: Header, *, sizes: bool) -> int:
    """How many tensors tell that this is the Card's denoiser; 0 where one of them is missing."""
    fitting = [layout for layout in card.tensors if _fits(layout, header, sizes=sizes)]
    return max(map(len, fitting), default=0)


def _fits(layout: Mapping[str, Sequence[int | None]], header: Header, *, sizes: bool) -> bool:
    for name, wanted in layout.items():
        tensor = header.get(name)
        if tensor is None:
            return False
        if sizes and tensor.shape is not None:
            same = len(tensor.shape) == len(wanted) and all(
                b in (None, a) for a, b in zip(tensor.shape, wanted, strict=True)
            )
            if not same:
                return False
    return True


def closest(name: str, cards: Sequence[Card]) -> Card:
    """Of sisters that cannot be told apart otherwise, the one that has most words in common with `name`; among equals
    one whose name is there whole, else one to train on."""
    words = _words(name)

    def rank(card: Card) -> tuple[int, bool, bool, int]:
        names = (_words(card.name), _words((card.repository or "").rpartition("/")[2]))
        own = max(names, key=lambda own: len(own & words))
        return len(own & words), any(n and n <= words for n in names), not card.distilled, -len(own - words)

    return max(cards, key=rank)


def plain(name: str) -> str:
    """Letters and digits alone, so that 'FLUX.2-klein', 'flux2_klein' and 'Flux 2 Klein' are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _words(name: str) -> set[str]:
    return set(re.findall(r"[a-z]+|\d+", name.lower()))
