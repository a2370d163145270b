"""What captioner and instructor share: a decoder that writes words about a picture, taught and used the same way."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Tokenizer,
    PreTrainedModel,
    VisionEncoderDecoderModel,
    ViTImageProcessorPil,
)

from starter_recipe.companions import FOLDER
from starter_recipe.companions.views import PREPROCESSING, Pixels, pixel_values

WIDTH, LAYERS, INNER, HEADS = 192, 3, 576, 6
LONGEST = 64  # tokens
_IGNORED = -100


def make_writer(encoder: PreTrainedModel, tokenizer: GPT2Tokenizer) -> VisionEncoderDecoderModel:
    """A decoder from nothing, reading what `encoder` sees."""
    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=LONGEST,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        n_inner=INNER,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        add_cross_attention=True,
        is_decoder=True,
        tie_word_embeddings=False,
    )
    # Plain attention: on a CPU the fused kernel's backward pass takes twice as long for a hundred tokens.
    decoder = GPT2LMHeadModel._from_config(config, attn_implementation="eager")
    model = VisionEncoderDecoderModel(encoder=encoder, decoder=decoder)
    for settings in (model.config, model.generation_config):
        settings.decoder_start_token_id = settings.eos_token_id = settings.pad_token_id = end
    model.generation_config.bos_token_id = end
    model.generation_config.max_length = LONGEST
    return model


def teach(model: VisionEncoderDecoderModel, tokenizer: GPT2Tokenizer, images: list[Pixels], texts: list[str]) -> Tensor:
    """The loss of writing `texts` about `images`."""
    batch = tokenizer([text + tokenizer.eos_token for text in texts], padding=True, return_tensors="pt")
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, _IGNORED)
    return model(pixel_values=pixel_values(images), labels=labels).loss


@torch.no_grad()
def write(model: VisionEncoderDecoderModel, tokenizer: GPT2Tokenizer, images: Sequence[Pixels]) -> list[str]:
    """The likeliest words for each of equally large `images`, step by step."""
    texts: list[str] = []
    for start in range(0, len(images), 64):
        values = pixel_values(images[start : start + 64]).to(model.dtype)
        ids = model.generate(pixel_values=values, do_sample=False, num_beams=1)
        texts += tokenizer.batch_decode(ids, skip_special_tokens=True)
    return texts


def shipped_writer(name: str) -> VisionEncoderDecoderModel:
    """The shipped companion `name`, in full precision."""
    return VisionEncoderDecoderModel.from_pretrained(FOLDER / name, dtype="float32")


def ship(
    model: VisionEncoderDecoderModel, tokenizer: GPT2Tokenizer, encoder: PreTrainedModel, folder: Path, width: int
) -> None:
    """Write half-precision copies; `encoder` is a fresh one of the same shape, `width` that of the pictures."""
    half = make_writer(encoder, tokenizer)
    half.load_state_dict(model.state_dict())
    half.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {**PREPROCESSING["size"], "width": width}
    ViTImageProcessorPil(**{**PREPROCESSING, "size": size}).save_pretrained(folder)
