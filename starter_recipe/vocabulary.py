"""Going on with a tokenizer after the world has learned new words.

A tokenizer trained anew would cut known words otherwise and give them other numbers, and the text encoder would have to
learn them again. So the old one is continued: its tokens and merges stay as they are, in their order, and byte-pair
merging goes on where it had stopped. Whatever was one token stays that token; new words get tokens of their own.
"""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase, Qwen3ForCausalLM

from starter_recipe.text import VOCABULARY, corpus, make_text_encoder, save_tokenizer, word_borders

Pair = tuple[str, str]


def continued(words: Counter[tuple[str, ...]], merges: int) -> list[Pair]:
    """The next merges of byte-pair encoding. `words`: how often each word comes, cut into the tokens of today."""
    found: list[Pair] = []
    while len(found) < merges:
        pairs: Counter[Pair] = Counter()
        for pieces, count in words.items():
            for pair in pairwise(pieces):
                pairs[pair] += count
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        found.append(best)
        after: Counter[tuple[str, ...]] = Counter()
        for pieces, count in words.items():
            after[merged(pieces, best)] += count
        words = after
    return found


def merged(pieces: Sequence[str], pair: Pair) -> tuple[str, ...]:
    """Every occurrence of the pair as one, from left to right."""
    out: list[str] = []
    for piece in pieces:
        if out and (out[-1], piece) == pair:
            out[-1] += piece
        else:
            out.append(piece)
    return tuple(out)


def extend_tokenizer(old: Path, folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in `old` with new tokens for the words of today's world, up to VOCABULARY; saved in `folder`."""
    model = json.loads((old / "tokenizer.json").read_text())["model"]
    vocab: dict[str, int] = model["vocab"]
    merges = [tuple(m) for m in model["merges"]]
    known = AutoTokenizer.from_pretrained(old).backend_tokenizer.model
    borders = word_borders()
    counts = Counter(word for text in corpus() for word, _ in borders.pre_tokenize_str(text))
    words = Counter({tuple(t.value for t in known.tokenize(word)): count for word, count in counts.items()})
    for first, second in continued(words, VOCABULARY - len(vocab)):
        vocab.setdefault(first + second, len(vocab))
        merges.append((first, second))
    return save_tokenizer(folder, vocab, merges)


@torch.no_grad()
def widened(encoder: Qwen3ForCausalLM, old: PreTrainedTokenizerBase, new: PreTrainedTokenizerBase) -> Qwen3ForCausalLM:
    """`encoder` for the new tokenizer: known tokens keep their rows, a new one starts as the mean of the pieces that
    the old tokenizer cuts it into, as long as they are."""
    if old.get_vocab() == new.get_vocab():
        return encoder
    wide = make_text_encoder(len(new)).to(encoder.dtype)
    state = encoder.state_dict()
    state = {name: t for name, t in state.items() if "embed_tokens" not in name and "lm_head" not in name}
    wide.load_state_dict(state, strict=False)
    rows, table = encoder.get_input_embeddings().weight, old.get_vocab()
    for token, number in new.get_vocab().items():
        wide.get_input_embeddings().weight[number] = rows[table[token]] if token in table else _start(token, old, rows)
    return wide


def _start(token: str, old: PreTrainedTokenizerBase, rows: Tensor) -> Tensor:
    pieces = rows[[t.id for t in old.backend_tokenizer.model.tokenize(token)]]
    mean = pieces.mean(0)
    return mean * (pieces.norm(dim=1).mean() / mean.norm().clamp_min(1e-6))
