"""Pocket TTS as transformers carries it: a causal network that goes on from a voice and a text with sound, as latents
of a codec, 12.5 a second. Here it speaks; `voices.lessons` and `voices.training` teach it a voice.
"""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from likeness.errors import InputError
from likeness.voices.audio import Clip
from likeness.voices.filters import Floats

CODEC = "audio_tokenizer"  # folder in a base that is complete by itself
LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2")  # of the backbone, that a LoRA acts on
PROMPT_SECONDS = 20.0  # of the reference that the network is given
TEMPERATURE = 0.7  # variance of the noise; the published checkpoints' own
SLACK = 1.5  # pause between pieces of a long text, in tenths of a second


@dataclass(frozen=True)
class Pocket:
    """An opened base. Latents are (frames, latent_dim), as the codec has them."""

    network: Any  # PocketTTSForConditionalGeneration, or one that peft has wrapped
    processor: Any
    device: torch.device
    name: str

    @property
    def rate(self) -> int:
        """Hz of the codec's sound."""
        return int(self.processor.feature_extractor.sampling_rate)

    @property
    def config(self) -> Any:
        return self.network.config

    def encode(self, clip: Clip, *, as_prompt: bool) -> Tensor:
        """The latents of a recording, on the CPU; `as_prompt` ends it on a short pause, as the network expects."""
        samples = clip.at(self.rate)
        if as_prompt:
            samples = samples[: int(PROMPT_SECONDS * self.rate)]
        extractor, codec = self.processor.feature_extractor, self.processor.audio_tokenizer
        found = extractor(samples.astype(np.float32), sampling_rate=self.rate, end_on_pause=as_prompt)
        with torch.no_grad():
            out = codec.encode(
                found["input_values"].to(codec.device, codec.dtype), found["padding_mask"].to(codec.device)
            )
        latents = out.latents[0].float().cpu()
        return latents[out.latents_mask[0].bool().cpu()] if out.latents_mask is not None else latents

    def prompt(self, text: str) -> str:
        """The text as the base prepares it, between the places for the voice and for the speech."""
        p = self.processor
        prepared = str(p.apply_chat_template([{"role": "user", "content": [{"type": "text", "text": text}]}]))
        for mark in p.placeholder_tokens:
            prepared = prepared.replace(mark, "")
        return f"{p.audio_prompt_bos_token or ''}{p.audio_token}{prepared}{p.audio_bos_token}"

    def generate(self, text: str, voice: Tensor, seed: int) -> Floats:
        """Speech at `rate`. The same seed gives the same sound; torch's own state stays as it was."""
        parts: list[Floats] = []
        for number, piece in enumerate(self.processor.split_text(text)):
            inputs = self.processor(
                text=[self.prompt(piece)], audio_prompt_latents=[voice], return_tensors="pt", add_special_tokens=False
            ).to(self.device)
            with seeded(seed + number, self.device), torch.no_grad():
                out = self.network.generate(
                    **inputs, do_sample=True, temperature=TEMPERATURE, return_dict_in_generate=True
                )
            sound = self.processor.decode(out.audio_latents.cpu(), out.audio_latents_mask.cpu())[0]
            parts += [np.zeros(int(SLACK / 10 * self.rate))] if parts else []
            parts.append(sound.double().numpy())
        return np.concatenate(parts) if parts else np.zeros(0)

    def batch(self, texts: Sequence[str], voices: Sequence[Tensor], targets: Sequence[Tensor]) -> dict[str, Tensor]:
        """What the network's forward pass takes to learn `targets` from."""
        prompts = [self.prompt(text) + self.processor.audio_token for text in texts]
        inputs = self.processor(
            text=prompts, audio_prompt_latents=list(voices), labels=list(targets), return_tensors="pt",
            padding=True, add_special_tokens=False,
        )  # fmt: skip
        return {name: value.to(self.device) for name, value in inputs.items()}


@contextmanager
def seeded(seed: int, device: torch.device) -> Generator[None]:
    """Torch's generators set for a block of code, and put back after it."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def open_pocket(base: str, device: torch.device, dtype: torch.dtype = torch.float32, offline: bool = False) -> Pocket:
    """A folder or a hub repository. Raises InputError where it is none of this kind."""
    from transformers import PocketTTSForConditionalGeneration

    try:
        network: Any = PocketTTSForConditionalGeneration.from_pretrained(base, dtype=dtype, local_files_only=offline)
        processor = _open_processor(base, offline)
    except (OSError, ValueError, KeyError) as e:
        raise InputError(f"base: {base} is no Pocket TTS that can be opened ({_first_line(e)}). Fix: {WANTED}") from e
    if network.config.flow_head_config.flow_type not in ("lsd", "drifting"):
        raise InputError(f"base: {base} has a flow head of an unknown kind. Fix: {WANTED}")
    processor.audio_tokenizer.to(device).eval()
    return Pocket(network.to(device).eval(), processor, device, base)


WANTED = (
    "give a hub repository such as eustlb/pocket-tts, or a folder with the model, its processor and its codec in "
    f"{CODEC}/"
)


def _open_processor(base: str, offline: bool) -> Any:
    """With the codec of the folder itself where it has one; otherwise as the processor's own settings say."""
    from transformers import AutoTokenizer, PocketTTSAudioTokenizerModel, PocketTTSFeatureExtractor, PocketTTSProcessor

    folder = Path(base)
    if not (folder / CODEC).is_dir():
        return PocketTTSProcessor.from_pretrained(base, local_files_only=offline)
    values: dict[str, Any] = json.loads((folder / "processor_config.json").read_text())
    settings = {
        k: v for k, v in values["feature_extractor"].items() if k not in ("feature_extractor_type", "padding_side")
    }
    numbers = {k: v for k, v in values.items() if k.startswith(("frames_after", "short_text", "fade_in"))}
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    codec: nn.Module = PocketTTSAudioTokenizerModel.from_pretrained(folder / CODEC, local_files_only=True)
    extractor = PocketTTSFeatureExtractor(**settings)
    return PocketTTSProcessor(extractor, tokenizer, codec, chat_template=tokenizer.chat_template, **numbers)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
