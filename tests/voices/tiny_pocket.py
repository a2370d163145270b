"""A Pocket TTS of random weights in the layout of transformers: the real classes, made in a moment."""

from pathlib import Path
from typing import Any

CHARACTERS = "abcdefghijklmnopqrstuvwxyz .,!?;:'-0123456789"
TEMPLATE = (
    "{% for message in messages %}{% for item in message['content'] %}"
    "{% if item['type'] == 'audio' %}<voice_start><voice>{% else %}{{ item['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}<speech_start>"
)


def make_tiny_pocket(folder: Path) -> Path:
    """40,000 weights and a codec of 12.5 frames per second; the same every time."""
    import torch
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import (
        PocketTTSAudioTokenizerConfig,
        PocketTTSAudioTokenizerModel,
        PocketTTSConfig,
        PocketTTSFeatureExtractor,
        PocketTTSForConditionalGeneration,
        PocketTTSProcessor,
        PreTrainedTokenizerFast,
    )

    special = ["<unk>", "<pad>", "<voice>", "<speech>", "<voice_start>", "<speech_start>"]
    words = {word: number for number, word in enumerate([*special, *CHARACTERS])}
    inner = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    inner.decoder = decoders.Fuse()
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token="<unk>",
        pad_token="<pad>",
        extra_special_tokens={
            "audio_prompt_token": "<voice>",
            "audio_latent_token": "<speech>",
            "audio_prompt_bos_token": "<voice_start>",
            "audio_bos_token": "<speech_start>",
        },
        chat_template=TEMPLATE,
        padding_side="left",
    )
    torch.manual_seed(0)
    codec = PocketTTSAudioTokenizerModel(
        PocketTTSAudioTokenizerConfig(
            hidden_size=16,
            num_filters=2,
            upsampling_ratios=[10, 12],
            upsample_groups=16,
            num_hidden_layers=1,
            intermediate_size=16,
            num_attention_heads=2,
            num_key_value_heads=2,
            latent_stride=16,
            latent_dim=4,
        )
    )
    network = PocketTTSForConditionalGeneration(
        PocketTTSConfig(
            vocab_size=len(words),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            latent_dim=4,
            initializer_range=0.25,  # as small as usual, the flow head would hardly hear the backbone
            pad_token_id=words["<pad>"],
            audio_prompt_token_id=words["<voice>"],
            audio_latent_token_id=words["<speech>"],
            audio_prompt_bos_token_id=words["<voice_start>"],
            audio_bos_token_id=words["<speech_start>"],
            flow_head_config={
                "hidden_size": 16,
                "num_hidden_layers": 1,
                "latent_dim": 4,
                "condition_dim": 32,
                "frequency_embedding_size": 16,
            },
        )
    )
    processor = PocketTTSProcessor(PocketTTSFeatureExtractor(), tokenizer, codec)
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    codec.save_pretrained(folder / "audio_tokenizer")
    return folder
