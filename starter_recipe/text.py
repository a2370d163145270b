"""The starter's tokenizer and tiny Qwen3 text encoder."""

import json
import random
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, Qwen2TokenizerFast, Qwen3Config, Qwen3ForCausalLM

from starter_recipe.world import caption, edit_pair, random_picture

VOCABULARY = 1500  # enough for every word of the world to be one token
TEXT_TOKENS = 48  # padding is attended in FLUX.2, so this length is part of the model
TEXT_LAYERS = (1, 2, 3)
WIDTH, LAYERS = 128, 3
CHAT_TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}"
# Splits at word borders as Qwen's tokenizer does, digits one by one.
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def corpus() -> list[str]:
    """What the tokenizer learns from: captions and instructions."""
    rng = random.Random(3)
    return [caption(random_picture(rng), rng) for _ in range(20000)] + [edit_pair(rng)[2] for _ in range(4000)]


def word_borders() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def train_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """A byte-level BPE over the world's captions and instructions, saved in Qwen2's layout."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = word_borders()
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator(corpus(), trainer)
    learned = json.loads(bpe.to_str())["model"]
    return save_tokenizer(folder, learned["vocab"], [tuple(m) for m in learned["merges"]])


def save_tokenizer(folder: Path, vocab: dict[str, int], merges: list[tuple[str, str]]) -> PreTrainedTokenizerBase:
    tokenizer = Qwen2TokenizerFast(
        vocab=vocab,
        merges=merges,
        unk_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.padding_side = "right"
    tokenizer.save_pretrained(folder)
    return tokenizer


def make_text_encoder(vocabulary: int) -> Qwen3ForCausalLM:
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=vocabulary,
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            num_key_value_heads=4,
            head_dim=WIDTH // 4,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            rope_theta=10000.0,
        )
    )


def tokenize(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask, each (B, TEXT_TOKENS), through the chat template as the pipeline applies it."""
    wrapped = [f"<|im_start|>{t}<|im_end|>" for t in texts]
    out = tokenizer(wrapped, padding="max_length", truncation=True, max_length=TEXT_TOKENS, return_tensors="pt")
    return out["input_ids"], out["attention_mask"]


def embed(encoder: Qwen3ForCausalLM, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(B, L, 3·width): the tapped hidden states side by side."""
    states = encoder.model(input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False).hidden_states
    return torch.cat([states[k] for k in TEXT_LAYERS], dim=-1)
