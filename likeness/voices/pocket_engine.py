"""Pocket TTS as an engine: the recording itself is the voice, and an adapter beside it where one was trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from likeness.errors import InputError
from likeness.voices.audio import Clip
from likeness.voices.engine import Manner, read_reference
from likeness.voices.pocket import Pocket, open_pocket

ADAPTER = "adapter_model.safetensors"


class PocketEngine:
    """Opens the base once; another voice's adapter is put on a fresh one."""

    def __init__(self, base: str, device: str = "auto"):
        chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self.pocket = open_pocket(base, torch.device(chosen))
        self._with: Path | None = None  # whose adapter is on

    def learn(self, reference: Clip, folder: Path) -> dict[str, Any]:
        self.pocket.encode(reference, as_prompt=True)  # a codec without an encoder is told now, not at the first word
        return {"base": self.pocket.name}

    def say(self, text: str, folder: Path, values: Mapping[str, Any], manner: Manner) -> Clip:
        voice = self.pocket.encode(read_reference(folder), as_prompt=True)
        pocket = self._adapted(folder)
        return Clip(pocket.generate(text, voice, manner.seed), pocket.rate)

    def notes(self, manner: Manner) -> list[str]:
        asked = (("speed", manner.speed), ("strength", manner.strength))
        return [f"--{name}: Pocket TTS has no such setting; it was left out" for name, value in asked if value != 1]

    def close(self) -> None:
        pass

    def _adapted(self, folder: Path) -> Pocket:
        if not (folder / ADAPTER).is_file() or self._with == folder:
            return self.pocket
        if self._with is not None:
            raise InputError("one engine speaks with one trained voice. Fix: open another")
        self.pocket = with_adapter(self.pocket, folder)
        self._with = folder
        return self.pocket


def with_adapter(pocket: Pocket, folder: Path) -> Pocket:
    """The base with the LoRA of a folder. Raises InputError where it does not fit."""
    from peft import PeftModel

    try:
        network = PeftModel.from_pretrained(pocket.network, str(folder)).eval()
    except (OSError, ValueError, RuntimeError) as e:
        raise InputError(
            f"{folder}: its adapter does not fit {pocket.name} ({str(e)[:200]}). Fix: name its base"
        ) from e
    return Pocket(network, pocket.processor, pocket.device, pocket.name)
