"""CLIP text encoders, which FLUX.1 and Stable Diffusion share: the only text encoders that loaders take LoRAs for."""

from typing import Any

from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from likeness.families.parts import Parts


class Clip:
    """A tokenizer and its encoder: parts `tokenizer` and `text_encoder`, or those with `number` behind their names."""

    def __init__(self, parts: Parts, kind: type[CLIPTextModel] | type[CLIPTextModelWithProjection], number: str = ""):
        self.encoder: nn.Module = parts.network(f"text_encoder{number}", kind)
        self._tokenizer: Any = parts.other(f"tokenizer{number}", CLIPTokenizer)
        config: Any = self.encoder.config
        # Not every tokenizer says how much its encoder takes.
        self._length = min(self._tokenizer.model_max_length, config.max_position_embeddings)

    def token_ids(self, text: str) -> Tensor:
        """(L,) always of the same length: cut, or padded as the tokenizer says. Padding is attended."""
        tokens = self._tokenizer(
            text, padding="max_length", max_length=self._length, truncation=True, return_tensors="pt"
        )
        return tokens.input_ids[0]

    def __call__(self, token_ids: Tensor) -> Any:
        """The encoder's output for token ids (B, L), with `hidden_states`."""
        return self.encoder(token_ids.to(next(self.encoder.parameters()).device), output_hidden_states=True)
