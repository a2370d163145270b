"""Tiny CLIP text encoders and a tokenizer of single bytes."""

from typing import Any, TypeVar

from tokenizers import pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

Encoder = TypeVar("Encoder", CLIPTextModel, CLIPTextModelWithProjection)
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
VOCABULARY = {t: i for i, t in enumerate([*BYTES, *(b + "</w>" for b in BYTES), "<|startoftext|>", "<|endoftext|>"])}
WIDTH = 16
LENGTH = 77


def clip_tokenizer(pad: str = "<|endoftext|>") -> CLIPTokenizer:
    return CLIPTokenizer(vocab=VOCABULARY, merges=[], model_max_length=LENGTH, pad_token=pad)


def clip_encoder(kind: type[Encoder], layers: int = 2) -> Encoder:
    config: Any = CLIPTextConfig(
        vocab_size=len(VOCABULARY), bos_token_id=len(VOCABULARY) - 2, eos_token_id=len(VOCABULARY) - 1,
        pad_token_id=len(VOCABULARY) - 1, hidden_size=WIDTH, intermediate_size=24, num_attention_heads=2,
        num_hidden_layers=layers, projection_dim=WIDTH, max_position_embeddings=LENGTH,
    )  # fmt: skip
    return kind(config)
