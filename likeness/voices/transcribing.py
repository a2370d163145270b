"""What is said in a recording, written down by a Whisper checkpoint that the user names. None is shipped."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from likeness.errors import InputError
from likeness.voices.filters import Floats

RATE = 16_000
Transcribe = Callable[[Floats], str]  # speech at 16 kHz -> text


def open_transcriber(
    place: str, device: torch.device, language: str | None = None, field: str = "transcriber"
) -> Transcribe:
    """A folder or a hub repository. Raises InputError, naming `field`, where it is no Whisper."""
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    try:
        processor: Any = WhisperProcessor.from_pretrained(place)
        network: Any = WhisperForConditionalGeneration.from_pretrained(place)
        network = network.to(device).eval()
    except (OSError, ValueError, KeyError, TypeError) as e:
        first = (str(e).strip().splitlines() or [type(e).__name__])[0][:200]
        raise InputError(
            f"{field}: {place} is no Whisper checkpoint that can be opened ({first}). Fix: a hub repository such as "
            "openai/whisper-small, or a folder with one"
        ) from e
    choice = (
        {"language": language, "task": "transcribe"} if language and network.generation_config.is_multilingual else {}
    )

    @torch.no_grad()
    def transcribe(x: Floats) -> str:
        inputs = processor(x.astype(np.float32), sampling_rate=RATE, return_tensors="pt").to(device)
        tokens = network.generate(inputs.input_features, do_sample=False, max_new_tokens=200, **choice)
        return str(processor.batch_decode(tokens, skip_special_tokens=True)[0]).strip()

    return transcribe
