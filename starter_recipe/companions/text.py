"""What the companions read and write: tokenizers learned from the world, plain captions and plain instructions."""

import json
import random
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, trainers
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer, GPT2Tokenizer

from starter_recipe.world import Picture, caption, edit_pair, random_picture
from starter_recipe.world.captions import accessory_words, article, prop_words
from starter_recipe.world.pairs import PLACES, STYLE_TARGETS

CLIP_TOKENS = 77  # the longest text that CLIP reads, as is usual
END = "<|endoftext|>"
_TEXTS = 12000
_LOOKS = {"smiling": "smile", "laughing": "laugh"}


class _PlainDice(random.Random):
    """Always comes up so that the writer of captions takes its first word, prose, and its usual order."""

    def random(self) -> float:
        return 0.59


def plain_caption(p: Picture, **instead: str) -> str:
    """The one caption that says all of `p` in the plainest words, or for some attributes other words ('' for none)."""
    return caption(p, _PlainDice(0), omit=0, instead=instead)


def plain_instruction(before: Picture, after: Picture) -> str:
    """The edit that leads from `before` to `after` in the plainest words; they differ as `edit_pair` draws them."""
    whom = f"the {before.kind if before.is_person else before.noun}"
    changes = (
        ("style", lambda: f"make it {STYLE_TARGETS[after.style]}"),
        ("scene", lambda: _to_scene(after)),
        ("time", lambda: f"make it {after.time}"),
        ("accessory", lambda: _exchange(before.accessory, after.accessory, accessory_words(after), "add {}")),
        ("accessory_colour", lambda: f"make the {after.accessory} {after.accessory_colour}"),
        ("prop", lambda: _exchange(before.prop, after.prop, article(prop_words(after)), f"give {whom} {{}}")),
        ("prop_colour", lambda: f"make the {after.prop} {after.prop_colour}"),
        ("garment_colour", lambda: f"make the {after.garment} {after.garment_colour}"),
        ("hair_colour", lambda: f"make the hair {after.hair_colour}"),
        ("expression", lambda: f"make {whom} {_LOOKS.get(after.expression, f'look {after.expression}')}"),
        ("emblem", lambda: _emblem(before, after)),
        ("noun", lambda: f"turn {whom} into {article(after.noun)}"),
        ("colour", lambda: f"make {whom} {after.colour}"),
    )
    for field, say in changes:
        if getattr(before, field) != getattr(after, field):
            return say()
    raise ValueError("nothing differs that an edit changes")


def _to_scene(after: Picture) -> str:
    if after.scene == "plain":
        return f"use a plain {after.backdrop} background"
    if after.scene == "underwater":
        return "change the background to underwater"
    return f"change the background to {PLACES.get(after.scene, article(after.scene))}"


def _exchange(old: str, new: str, new_words: str, add: str) -> str:
    if new == "none":
        return f"remove the {old}"
    return add.format(new_words) if old == "none" else f"replace the {old} with {new_words}"


def _emblem(before: Picture, after: Picture) -> str:
    if after.emblem == "none":
        return f"remove the {before.emblem} from the {before.garment}"
    what = "stripes" if after.emblem == "stripes" else article(after.emblem)
    return f"put {what} on the {after.garment}"


# --- tokenizers


def _learn(blank: Any, texts: list[str], size: int, suffix: str) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges of a byte-level BPE that splits words as the tokenizer `blank` does."""
    bpe = Tokenizer(models.BPE(end_of_word_suffix=suffix))
    if blank.normalizer is not None:
        bpe.normalizer = blank.normalizer
    bpe.pre_tokenizer = blank.pre_tokenizer
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=ByteLevel.alphabet(), end_of_word_suffix=suffix, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    learned = json.loads(bpe.to_str())["model"]
    merges = [(a, b) for a, b in learned["merges"]]
    # Numbered here, since the trainer numbers single bytes differently each time. A byte that ends a word is a piece of
    # its own: without it strange words would be unknown.
    alphabet = sorted(ByteLevel.alphabet())
    pieces = [*alphabet, *(byte + suffix for byte in alphabet), *(a + b for a, b in merges)]
    return {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}, merges


def clip_tokenizer(folder: Path) -> CLIPTokenizer:
    """Learned from captions as users write them, and from edit instructions."""
    rng = random.Random(5)
    texts = [caption(random_picture(rng), rng) for _ in range(_TEXTS)] + [edit_pair(rng)[2] for _ in range(_TEXTS // 4)]
    vocabulary, merges = _learn(CLIPTokenizer().backend_tokenizer, texts, 1100, "</w>")
    for special in ("<|startoftext|>", END):
        vocabulary.setdefault(special, len(vocabulary))
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=CLIP_TOKENS)
    tokenizer.save_pretrained(folder)
    return tokenizer


def writing_tokenizer(folder: Path) -> GPT2Tokenizer:
    """Learned from plain captions and instructions: the words that captioner and instructor write."""
    rng = random.Random(6)
    texts = [plain_caption(random_picture(rng)) for _ in range(_TEXTS)]
    texts += [plain_instruction(*edit_pair(rng)[:2]) for _ in range(_TEXTS // 2)]
    vocabulary, merges = _learn(GPT2Tokenizer().backend_tokenizer, texts, 800, "")
    vocabulary.setdefault(END, len(vocabulary))
    tokenizer = GPT2Tokenizer(vocab=vocabulary, merges=merges, model_max_length=64, pad_token=END)
    tokenizer.save_pretrained(folder)
    return tokenizer
