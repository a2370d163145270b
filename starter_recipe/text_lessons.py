"""The text encoder's lessons: it learns to read before anything is drawn from what it says.

From texts alone it learns in minutes what 'poncho' means. Linear heads, which are thrown away afterwards, are asked for
every attribute that a caption names and for what an instruction changes; the pretraining goes on from there. What that
brings is told in the recipe's README.
"""

import random
import time

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase, Qwen3ForCausalLM

from starter_recipe.drawings import pair_of, picture_of
from starter_recipe.fields import COUNTS, FIELDS, UNKNOWN, classes_of, loss_of
from starter_recipe.text import TEXT_LAYERS, WIDTH, embed, tokenize
from starter_recipe.training import Journal, Smooth, on_gpu, warm_level
from starter_recipe.world import caption, read

TEXTS, EXAM = 90_000_000, 95_000_000  # where the seeds of lessons and of the exam start
EXAM_TEXTS = 512
EDIT_SHARE = 0.25  # so many of the texts are instructions
Texts = tuple[Tensor, Tensor, Tensor]  # ids and mask (N, TEXT_TOKENS), and labels (N, fields)
BATCH, RATE, WARM_UP, COOLDOWN = 64, 0.003, 40, 0.5
TELL_STEPS = 100


def text_of(seed: int) -> tuple[str, dict[str, str]]:
    """A caption or an instruction, and what it says: the values it names, or those that the edit changes."""
    rng = random.Random(seed)
    if rng.random() < EDIT_SHARE:
        before, after, text = pair_of(seed)
        said = {f: getattr(after, f) for f in FIELDS if getattr(after, f) != getattr(before, f)}
    else:
        text = caption(picture_of(seed), rng)
        said = read(text)
    return text, {f: v for f, v in said.items() if v in FIELDS.get(f, ())}


def lesson(tokenizer: PreTrainedTokenizerBase, first: int, count: int) -> Texts:
    """So many texts, from this seed on."""
    rows = [text_of(seed) for seed in range(first, first + count)]
    ids, mask = tokenize(tokenizer, [text for text, _ in rows])
    return ids, mask, classes_of([said for _, said in rows])


def exam(tokenizer: PreTrainedTokenizerBase) -> Texts:
    """Texts of no lesson."""
    return lesson(tokenizer, EXAM, EXAM_TEXTS)


class Reader(nn.Module):
    """The text encoder with a head for each field, on the mean of the states that the transformer gets."""

    def __init__(self, encoder: Qwen3ForCausalLM):
        super().__init__()
        self.encoder = encoder
        self.heads = nn.Linear(len(TEXT_LAYERS) * WIDTH, sum(COUNTS))

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """Ids and mask (B, TEXT_TOKENS) to the logits of each field, in the order of FIELDS."""
        states = embed(self.encoder, ids, mask)
        weight = mask[..., None].to(states.dtype)
        mean = (states * weight).sum(1) / weight.sum(1)
        return self.heads(mean).split(COUNTS, dim=1)


@torch.no_grad()
def examine(reader: Reader, texts: Texts) -> float:
    """Share of right answers, 0 to 1, over all that is said in the texts."""
    ids, mask, labels = (t.to(reader.encoder.device) for t in texts)
    answers = torch.stack([part.argmax(1) for part in reader(ids, mask)], 1)
    known = labels != UNKNOWN
    return float((answers == labels)[known].float().mean())


def teach(encoder: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase, minutes: float, journal: Journal) -> None:
    """Teach the encoder in place for so many minutes; the journal tells how much of an exam it reads right, 0 to 1."""
    device = torch.device("cuda" if on_gpu() else "cpu")
    torch.manual_seed(11)
    reader = Reader(encoder.to(device))
    optimizer = torch.optim.AdamW(reader.parameters(), RATE, betas=(0.9, 0.98), weight_decay=0.01)
    step, smooth, questions, began = 0, Smooth(), exam(tokenizer), time.time()

    def tell() -> None:
        right, seconds = examine(reader, questions), time.time() - began
        journal.write(step=step, texts=step * BATCH, seconds=seconds, train=float(smooth), right=right)

    while (progress := (time.time() - began) / (60 * minutes)) < 1:
        ids, mask, labels = (t.to(device) for t in lesson(tokenizer, TEXTS + step * BATCH, BATCH))
        with torch.autocast(device.type, torch.bfloat16):
            logits = reader(ids, mask)
        loss = loss_of(logits, labels)
        loss.backward()
        optimizer.param_groups[0]["lr"] = RATE * warm_level(progress, step, WARM_UP, COOLDOWN)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        smooth.add(loss)
        step += 1
        if step % TELL_STEPS == 0:
            tell()
    tell()
    encoder.to("cpu")
