"""Training batches: chosen and captioned ahead by workers, then put together from the pool's latents.

What a step is trained on is a function of the step and the replica, so that going on repeats nothing.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase, Qwen3ForCausalLM

from starter_recipe.drawings import Size, pair_of, picture_of
from starter_recipe.fields import classes_of
from starter_recipe.flow import Told
from starter_recipe.named import named_in, shown_in
from starter_recipe.pool import Pool, held_out
from starter_recipe.text import embed, tokenize
from starter_recipe.world import SIZES, caption

CAPTION_DROPOUT = 0.1
EDIT_EVERY = 4  # one batch in so many is of edits,
EDIT_SHARE = 5 / 8  # which see two pictures and are this much smaller


@dataclass(frozen=True)
class Order:
    """One batch to come: `rows` of the pool's arrays of this size, the texts as ids and mask (B, TEXT_TOKENS), and
    `named` (B, fields): which attributes the finished picture should show, as `classes_of` has them."""

    kind: str  # pictures | pairs
    size: Size
    rows: NDArray[np.int64]
    ids: NDArray[np.int64]
    mask: NDArray[np.int64]
    named: NDArray[np.int64]


class Orders:
    """Writes the order of any step. It holds no tensors, so that workers can have a copy."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, pool: Pool, batch: int, rank: int, edits: int = EDIT_EVERY):
        self.tokenizer, self.numbers, self.batch, self.rank, self.edits = tokenizer, pool.numbers, batch, rank, edits

    def __call__(self, step: int) -> Order:
        rng = random.Random(step * 64 + self.rank)
        kind = "pairs" if step % self.edits == self.edits - 1 else "pictures"
        numbers = self.numbers[kind]
        size = rng.choices(SIZES, [len(numbers[s]) for s in SIZES])[0]
        count = max(1, round(self.batch * EDIT_SHARE)) if kind == "pairs" else self.batch
        first = held_out(size, len(numbers[size]))
        rows = [rng.randrange(first, len(numbers[size])) for _ in range(count)]
        return self.order(kind, size, rows, rng, CAPTION_DROPOUT)

    def order(self, kind: str, size: Size, rows: Sequence[int], rng: random.Random, dropout: float) -> Order:
        numbers = [int(self.numbers[kind][size][row]) for row in rows]
        texts = ["" if rng.random() < dropout else self.text(kind, number, rng) for number in numbers]
        ids, mask = tokenize(self.tokenizer, texts)
        named = classes_of([self.named(kind, n, text) for n, text in zip(numbers, texts, strict=True)])
        return Order(kind, size, np.array(rows), ids.numpy(), mask.numpy(), named.numpy())

    def text(self, kind: str, number: int, rng: random.Random) -> str:
        """A caption, another one every time; or the pair's instruction."""
        return pair_of(number)[2] if kind == "pairs" else caption(picture_of(number), rng)

    def named(self, kind: str, number: int, text: str) -> dict[str, str]:
        """What the text names; with an instruction all that its source shows and it does not change, too."""
        if not text:
            return {}
        return shown_in(pair_of(number)[1]) if kind == "pairs" else named_in(text)

    def held_out(self, kind: str) -> list[Order]:
        """The pictures or pairs that are never trained on, one order for each size that has any."""
        rng = random.Random(5)
        apart = {size: held_out(size, len(numbers)) for size, numbers in self.numbers[kind].items()}
        return [self.order(kind, size, range(count), rng, 0) for size, count in apart.items() if count]


def batch_of(order: Order, pool: Pool, encoder: Qwen3ForCausalLM) -> tuple[Told, Tensor]:
    """What the model is told, its texts embedded, and the latents (B, tokens, channels), on the encoder's device."""
    device = encoder.device
    text = embed(encoder, torch.from_numpy(order.ids).to(device), torch.from_numpy(order.mask).to(device))
    name = "pictures" if order.kind == "pictures" else "after"

    def taken(name: str) -> Tensor:
        latents = pool.latents[name][order.size]
        return latents[torch.from_numpy(order.rows).to(latents.device)].to(device).float()

    return Told(text, order.size, taken("before") if order.kind == "pairs" else None), taken(name)
