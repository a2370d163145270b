"""A toy starter: the real layout, tokenizer and VAE class with a transformer of two blocks, all untrained."""

from pathlib import Path

import torch
from transformers import AutoTokenizer

from starter_recipe.drawings import draw_pictures
from starter_recipe.flow import make_transformer
from starter_recipe.pipeline import export
from starter_recipe.text import make_text_encoder
from starter_recipe.vae_model import make_vae, set_latent_statistics
from tests.tiny_text import TOKENIZER


def write_toy_vae(folder: Path) -> Path:
    torch.manual_seed(1)
    vae = make_vae()
    with torch.no_grad():
        set_latent_statistics(vae, [torch.from_numpy(images) for images in draw_pictures(range(12)).values()])
    vae.half().save_pretrained(folder)
    return folder


def write_toy(folder: Path, vae: Path) -> Path:
    """A pipeline's folder."""
    torch.manual_seed(2)
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    transformer, encoder = make_transformer(1, 1, 1), make_text_encoder(len(tokenizer))
    torch.nn.init.normal_(transformer.proj_out.weight, std=0.05)  # it starts at zero, and would say nothing
    export(folder, vae, transformer, encoder, tokenizer)
    return folder
