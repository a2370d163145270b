"""The text encoder's lessons: what a text says, that reading is learned, and when it is taught."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, Qwen3ForCausalLM

from starter_recipe import text_lessons, transformer
from starter_recipe.drawings import pair_of
from starter_recipe.fields import FIELDS, UNKNOWN
from starter_recipe.text import make_text_encoder
from starter_recipe.text_lessons import TEXTS, Reader, exam, examine, lesson, teach, text_of
from starter_recipe.training import Journal
from starter_recipe.world import read


def test_a_text_says_what_it_names_or_what_its_edit_changes() -> None:
    captions = edits = 0
    for seed in range(TEXTS, TEXTS + 200):
        text, said = text_of(seed)
        before, after, instruction = pair_of(seed)
        if text == instruction:
            edits += 1
            assert said and all(getattr(after, f) == v != getattr(before, f) for f, v in said.items())
        else:
            captions += 1
            assert said == {f: v for f, v in read(text).items() if f in FIELDS}
    assert 30 < edits < 75 and captions > 120


def test_labels_are_classes_of_what_is_said(toy: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(toy / "tokenizer")
    ids, mask, labels = lesson(tokenizer, TEXTS, 12)
    assert ids.shape == mask.shape and labels.shape == (12, len(FIELDS))
    for i, row in enumerate(labels.tolist()):
        _, said = text_of(TEXTS + i)
        assert {f: FIELDS[f][c] for f, c in zip(FIELDS, row, strict=True) if c != UNKNOWN} == said


@pytest.mark.long
def test_lessons_teach_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_lessons, "EXAM_TEXTS", 96)
    tokenizer = transformer.train_tokenizer(tmp_path / "tokenizer")
    torch.manual_seed(0)
    encoder = make_text_encoder(len(tokenizer))
    before = examine(Reader(encoder), exam(tokenizer))
    teach(encoder, tokenizer, 0.5, Journal(tmp_path / "reading.jsonl"))
    right = json.loads((tmp_path / "reading.jsonl").read_text().splitlines()[-1])["right"]
    assert before < 0.2 and right > before + 0.15


def test_reading_is_taught_where_there_are_new_words_and_once(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[int] = []
    monkeypatch.setattr(transformer, "teach", lambda encoder, tokenizer, *_: taught.append(len(tokenizer)))
    for _ in range(2):
        transformer.prepare_text(tmp_path / "new", str(toy), 1)
    words = len(AutoTokenizer.from_pretrained(tmp_path / "new" / "tokenizer"))
    assert taught == [words] and words > len(AutoTokenizer.from_pretrained(toy / "tokenizer"))
    encoder = Qwen3ForCausalLM.from_pretrained(tmp_path / "new" / "text_encoder")
    assert encoder.config.vocab_size == words
    transformer.prepare_text(tmp_path / "again", str(tmp_path / "new"), 1)  # nothing is new to these weights
    assert taught == [words] and (tmp_path / "again" / "text_encoder").exists()
