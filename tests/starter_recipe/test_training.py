"""What the trainings share: Muon, clocks, rates, work made ahead, and the tokenizer that goes on."""

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from transformers import AutoTokenizer

from starter_recipe import training
from starter_recipe.text import embed, make_text_encoder, tokenize
from starter_recipe.training import Clock, Muon, Replicas, ahead, orthogonalise, run_replicas, warm_cosine, warm_level
from starter_recipe.vocabulary import continued, extend_tokenizer, merged, widened
from tests.tiny_text import TOKENIZER


@pytest.mark.parametrize("shape", [(3, 8, 20), (2, 20, 8)])
def test_orthogonalised_matrices_have_equal_singular_values(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    g = torch.randn(shape)
    out = orthogonalise(g)
    values = torch.linalg.svdvals(out)
    assert values.min() > 0.5 and values.max() < 1.4
    alone = torch.cat([orthogonalise(one[None]) for one in g])
    assert torch.allclose(out, alone, atol=0.02)  # bf16


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_products_are_in_bf16_only_where_the_hardware_multiplies_it(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "best_dtype", lambda device: dtype)
    with training.mixed(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_muon_takes_matrices_and_kernels_of_any_shapes_at_once() -> None:
    torch.manual_seed(0)
    wanted = [torch.randn(s) for s in ((6, 4), (6, 4), (4, 3, 3, 3))]
    params = [torch.zeros_like(w).requires_grad_() for w in wanted]
    muon = Muon(params, 0.05)
    for _ in range(200):
        sum((p - w).square().sum() for p, w in zip(params, wanted, strict=True)).backward()
        muon.step()
        muon.zero_grad()
    assert all((p - w).abs().max() < 0.3 for p, w in zip(params, wanted, strict=True))


def divide(replicas: Replicas, folder: Path) -> None:
    """One replica's part of the test below."""
    torch.manual_seed(0)
    for count in (4, 3):  # four rows are divided, three are not
        rows = torch.randn(count, 6, 9)
        out = replicas.divided(lambda part: part * len(part), rows)
        assert torch.allclose(out, rows * (2 if count == 4 else 3), rtol=0.01) and out.dtype == torch.float32
        torch.save(out, folder / f"{count}-{replicas.rank}.pt")


@pytest.mark.long
def test_replicas_divide_rows_and_all_have_the_same_in_the_end(tmp_path: Path) -> None:
    run_replicas(2, divide, tmp_path)
    for count in (4, 3):
        first, second = (torch.load(tmp_path / f"{count}-{rank}.pt", weights_only=True) for rank in (0, 1))
        assert torch.equal(first, second)


def beat(replicas: Replicas, folder: str) -> None:
    """Touch a file of this replica's own until somebody ends the process."""
    for n in range(600):
        Path(folder, f"{replicas.rank}-{os.getpid()}").write_text(str(n))
        time.sleep(0.1)


@pytest.mark.long
def test_replicas_end_with_their_parent_however_it_ends(tmp_path: Path) -> None:
    code = (
        f"from tests.starter_recipe.test_training import beat, run_replicas; run_replicas(2, beat, {str(tmp_path)!r})"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    try:
        until(lambda: len(list(tmp_path.iterdir())) == 2)
    finally:
        parent.kill()
        parent.wait()
    pids = [int(path.name.partition("-")[2]) for path in tmp_path.iterdir()]
    until(lambda: not any(alive(pid) for pid in pids))


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def clock(spent: float = 0.0, here: float = 0.0, step: int = 0, **options: float) -> Clock:
    values = {"steps": 100, "minutes": 0, "pause": 0, "began": time.time() - here, **options}
    return Clock(argparse.Namespace(**values), step, spent)


def test_a_clock_counts_steps_or_the_minutes_of_all_parts() -> None:
    assert clock().progress(25) == 0.25 and clock().progress(500) == 1
    timed = clock(spent=60, here=30, minutes=3)
    assert timed.progress(10**6) == pytest.approx(0.5, abs=0.01)
    assert not timed.pauses
    assert clock(here=61, pause=1).pauses and not clock(spent=600, here=59, pause=1).pauses


def test_rates_warm_up_and_come_down() -> None:
    level = [warm_level(p, 1000, 40, 0.25) for p in (0, 0.5, 0.75, 0.875, 1)]
    assert level == pytest.approx([1, 1, 1, 0.5, 0.02])
    assert warm_level(0.5, 0, 40, 0.25) == 1 / 40  # also where it goes on
    assert warm_cosine(0.5, 1000, 30) == pytest.approx(0.51) and warm_cosine(1, 1000, 30) == pytest.approx(0.02)


def squares(number: int) -> np.ndarray:
    return np.full(3, number * number)


@pytest.mark.parametrize("workers", [0, 2])
def test_what_workers_make_ahead_comes_in_order(workers: int) -> None:
    made = ahead(squares, range(5, 10**9), workers)
    assert [int(next(made)[0]) for _ in range(6)] == [25, 36, 49, 64, 81, 100]
    made.close()
    assert [int(a[0]) for a in ahead(squares, [3, 1, 2], workers)] == [9, 1, 4]


def test_merging_goes_on_with_the_commonest_pair() -> None:
    words = Counter({("a", "b", "c"): 5, ("b", "c"): 3, ("a", "a", "a"): 2})
    assert continued(words, 2) == [("b", "c"), ("a", "bc")]
    assert continued(words, 100)[-1] in {("aa", "a")}  # until every word is one
    assert merged("aaab", ("a", "a")) == ("aa", "a", "b")


def test_known_words_keep_their_tokens_and_rows_and_new_words_get_one(tmp_path: Path) -> None:
    old, new = AutoTokenizer.from_pretrained(TOKENIZER), extend_tokenizer(TOKENIZER, tmp_path)
    torch.manual_seed(0)
    encoder = make_text_encoder(len(old))
    wide = widened(encoder, old, new)
    for token in ("Ġforest", "Ġhoodie", "Ġpink", "Ġsmiling"):
        assert old.tokenize(token.replace("Ġ", " ")) == new.tokenize(token.replace("Ġ", " ")) == [token]
    text = ["a girl with long pink hair wearing a red dress, smiling, half body, in a meadow, flat style"]
    assert old.tokenize(text[0]) == new.tokenize(text[0])
    with torch.no_grad():
        assert torch.equal(embed(encoder, *tokenize(old, text)), embed(wide, *tokenize(new, text)))
    for word in (" kimono", " mohawk", " playground", " elephant"):
        assert len(old.tokenize(word)) > 1 == len(new.tokenize(word))
    rows = wide.get_input_embeddings().weight
    assert len(rows) == len(new) and (rows.norm(dim=1) > 0).all()
    for special in ("<|im_start|>", "<|im_end|>", "<|endoftext|>"):
        one, other = old.convert_tokens_to_ids(special), new.convert_tokens_to_ids(special)
        assert torch.equal(rows[other], encoder.get_input_embeddings().weight[one])
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again.get_vocab() == new.get_vocab() and again(text)["input_ids"] == new(text)["input_ids"]
