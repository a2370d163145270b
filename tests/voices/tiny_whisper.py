"""A Whisper of random weights in the layout of transformers."""

import json
from pathlib import Path
from typing import Any


def make_tiny_whisper(folder: Path) -> Path:
    """What it writes down means nothing."""
    import torch
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
        WhisperTokenizer,
    )

    folder.mkdir(parents=True)
    letters = [chr(n) for n in range(33, 127)] + ["Ġ"]
    words: dict[str, int] = {word: n for n, word in enumerate([*letters, "<|endoftext|>", "<|startoftranscript|>"])}
    (folder / "vocab.json").write_text(json.dumps(words))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer: Any = WhisperTokenizer.from_pretrained(folder)
    end, begin = words["<|endoftext|>"], words["<|startoftranscript|>"]
    torch.manual_seed(0)
    network = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=len(words), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, num_mel_bins=8,
            max_target_positions=256, pad_token_id=end, bos_token_id=begin, eos_token_id=end,
            decoder_start_token_id=begin,
        )
    )  # fmt: skip
    network.generation_config = GenerationConfig(
        decoder_start_token_id=begin, eos_token_id=end, pad_token_id=end, bos_token_id=begin, is_multilingual=False,
        no_timestamps_token_id=end,
    )  # fmt: skip
    network.save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(feature_size=8), tokenizer).save_pretrained(folder)
    return folder
