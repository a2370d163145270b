"""Models run here, in classes of transformers: the shipped captioner and instructor, and any vision language model.

Four kinds differ in how they are shown pictures: chat models of the Qwen VL family, whose own processor needs
torchvision; other chat models; Florence-2, which takes a task; and plain captioners (BLIP, GIT, encoder and decoder).
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoConfig, AutoModelForImageTextToText

from likeness.captioning.folders import folder_of
from likeness.captioning.prompts import answer_tokens
from likeness.captioning.protocol import Abilities, Answer, Ask, CaptionFailed, Tell
from likeness.captioning.readers import CHATS, PLAIN, Chat, Florence, Pair, Plain, QwenChat
from likeness.config.caption import CaptionConfig
from likeness.config.hardware import HardwareConfig
from likeness.errors import InputError
from likeness.families.placement import choose_placement

COMPANIONS = Path(__file__).resolve().parent.parent / "companions"
_FILES = ("*.json", "*.txt", "*.model", "*.jinja", "*.safetensors")
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError)


class Reader(Protocol):
    """How a kind of model is shown pictures and questions, and what its tokens say."""

    def read(self, asks: Sequence[Ask]) -> dict[str, Tensor]:
        """What `generate` takes."""
        ...

    def texts(self, tokens: Tensor) -> list[str]:
        """Of tokens (B, L) that were written, without those that were given."""
        ...


class Local:
    """A network with its reader. Answers are the likeliest words, so the same picture always gets the same."""

    def __init__(self, model: str, network: Any, reader: Reader, abilities: Abilities, generation: dict[str, Any]):
        self.model, self.abilities = model, abilities
        self._network, self._reader, self._generation = network, reader, generation
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def answer(self, asks: Sequence[Ask]) -> list[Answer | CaptionFailed]:
        """All at once; where memory or one of the pictures does not allow that, in halves."""
        if self._stopped.is_set():
            return [CaptionFailed("stopped", "stopped before it was done") for _ in asks]
        try:
            return list(self._answers(asks))
        except torch.OutOfMemoryError:
            failure = CaptionFailed("model", "the device's memory is full. Fix: lower --picture-side")
        except InputError as e:
            failure = CaptionFailed("picture", str(e))
        if len(asks) == 1:
            return [failure]
        half = len(asks) // 2
        return self.answer(asks[:half]) + self.answer(asks[half:])

    @torch.inference_mode()
    def _answers(self, asks: Sequence[Ask]) -> list[Answer | CaptionFailed]:
        weight = next(self._network.parameters())
        inputs = {
            name: value.to(weight.device, weight.dtype if value.is_floating_point() else None)
            for name, value in self._reader.read(asks).items()
        }
        given = inputs["input_ids"].shape[1] if "input_ids" in inputs and not _encodes(self._network) else 0
        tokens: Tensor = self._network.generate(
            **inputs, do_sample=False, stopping_criteria=[self._should_stop], **self._generation
        )
        if self._stopped.is_set():
            return [CaptionFailed("stopped", "stopped before it was done") for _ in asks]
        tokens = tokens[:, given:]
        ends = _ends(self._network)
        unended = [not (ends & set(row)) for row in tokens.tolist()]
        most = self._generation.get("max_new_tokens")
        return [
            Answer(text, cut_off=most is not None and tokens.shape[1] >= most and open_end)
            for text, open_end in zip(self._reader.texts(tokens), unended, strict=True)
        ]

    def _should_stop(self, tokens: Tensor, scores: Any, **_: object) -> Tensor:
        return torch.full((tokens.shape[0],), self._stopped.is_set(), device=tokens.device)


def open_local(settings: CaptionConfig, tell: Tell) -> Local:
    """The shipped engine, or the model that the settings name. Raises InputError where it cannot be loaded or is
    of no kind that can be shown pictures."""
    hardware = HardwareConfig.model_validate({"device": settings.device, "precision": settings.precision})
    placement = choose_placement(hardware)
    if settings.engine == "shipped":
        return _open_shipped(settings, placement.device, tell)
    if not settings.model:
        raise InputError("--model: name a vision language model. Fix: --model FOLDER, or 'owner/name' on the hub")
    folder = folder_of(settings.model, _FILES, lambda f: any(f.glob("*.safetensors")), tell)
    tell("loading", 0, 0)
    try:
        kind = str(AutoConfig.from_pretrained(folder).model_type)
        reader, takes_prompts, generation = _reader(kind, folder, settings)
        network = _network(folder, placement.device, placement.dtype)
    except _UNREADABLE as e:
        raise InputError(_broken(settings.model, e)) from e
    room = getattr(network.config.get_text_config(decoder=True), "max_position_embeddings", None)
    wanted = answer_tokens(settings) if takes_prompts else 2 * settings.longest
    most = min(wanted, room - 4) if room and not takes_prompts else wanted
    abilities = Abilities(takes_prompts=takes_prompts, sees_pairs=takes_prompts, at_once=settings.parallel or 1)
    return Local(settings.model, network, reader, abilities, {"max_new_tokens": most, **generation})


def _reader(kind: str, folder: Path, settings: CaptionConfig) -> tuple[Reader, bool, dict[str, Any]]:
    """The reader for a kind of model, whether it takes prompts, and how it is best told to write."""
    side = settings.picture_side
    if kind in CHATS:
        return QwenChat(folder, side), True, {}
    if kind == "florence2":
        return Florence(folder, side, settings.prompt), False, {"num_beams": 3}
    if kind in PLAIN:
        return Plain(folder, side), False, {"num_beams": 3}
    return Chat(folder, side), True, {}


def _open_shipped(settings: CaptionConfig, device: torch.device, tell: Tell) -> Local:
    if settings.model:
        raise InputError("--model: the shipped engine has a model of its own. Fix: leave it out, or --engine vlm")
    name = "instructor" if settings.kind == "edit" else "captioner"
    folder = COMPANIONS / name
    tell("loading", 0, 0)
    try:
        reader = Pair(folder) if settings.kind == "edit" else Plain(folder, settings.picture_side)
        network = _network(folder, device, torch.float32)
    except _UNREADABLE as e:
        raise InputError(f"--engine: the shipped {name} cannot be loaded ({_first(e)}). Fix: install again") from e
    abilities = Abilities(takes_prompts=False, sees_pairs=settings.kind == "edit", at_once=settings.parallel or 16)
    return Local(f"likeness/{name}", network, reader, abilities, {})


def _network(folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """Raises ValueError where weights are missing: transformers would draw them at random."""
    load: Any = AutoModelForImageTextToText.from_pretrained
    network, told = load(folder, dtype=dtype, use_safetensors=True, output_loading_info=True)
    if missing := sorted(told["missing_keys"]):
        raise ValueError(f"{len(missing)} weights are missing, such as {missing[0]}")
    return network.to(device).requires_grad_(False).eval()


def _encodes(network: Any) -> bool:
    """Whether what is given and what is written are told apart by the model itself."""
    return bool(network.config.is_encoder_decoder)


def _ends(network: Any) -> set[int]:
    end: Any = network.generation_config.eos_token_id
    return set(end) if isinstance(end, list) else {end}


def _broken(model: str, error: Exception) -> str:
    words = _first(error)
    if "torchvision" in str(error).lower():
        return (
            f"--model: {model} needs torchvision to prepare its pictures. Fix: install the torchvision that belongs to "
            "your torch, or use a model of the Qwen VL, Florence-2, BLIP or GIT kind"
        )
    return f"--model: {model} cannot be loaded as a vision language model ({words}). Fix: use one that transformers " \
           "loads by itself, with its weights as safetensors"  # fmt: skip


def _first(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
