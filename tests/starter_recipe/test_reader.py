"""The reader of noisy latents: what it is taught, and what the loss that it gives pulls at."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLFlux2
from torch import Tensor, nn
from transformers import AutoTokenizer

from starter_recipe import pool, reader, transformer
from starter_recipe.batches import EDIT_EVERY, Orders
from starter_recipe.drawings import Size, draw_pictures, pair_of, picture_of
from starter_recipe.fields import COUNTS, FIELDS, UNKNOWN, classes_of, loss_of
from starter_recipe.flow import tokens_of
from starter_recipe.kept import keep
from starter_recipe.named import named_in, shown_in
from starter_recipe.pool import Pool
from starter_recipe.reader import Lessons, Reader, asked_loss, noisy
from starter_recipe.training import SHIPPED, run_replicas
from starter_recipe.vae_model import encode
from starter_recipe.world import SIZES
from starter_recipe.world.picture import SQUARE
from tests.starter_recipe.test_pretraining import started
from tests.tiny_text import TOKENIZER

WIDE = (160, 96)


def test_what_a_picture_shows_is_what_it_is() -> None:
    for number in range(300):
        p = picture_of(number)
        seen = shown_in(p)
        assert seen and all(getattr(p, field) == value for field, value in seen.items())
        assert {"scene", "style"} <= seen.keys() and ("hair" in seen) == p.is_person
    assert named_in("a girl with long pink hair") == {"kind": "girl", "hair": "long", "hair_colour": "pink"}


def test_sides_of_every_pair_can_be_told_as_classes() -> None:
    labels = classes_of([shown_in(p) for number in range(3000) for p in pair_of(number)[:2]])
    assert labels.shape == (6000, len(FIELDS)) and labels.max() >= 0


def test_orders_name_what_their_texts_do(toy_pool: Pool) -> None:
    orders = Orders(AutoTokenizer.from_pretrained(TOKENIZER), toy_pool, batch=8, rank=0)
    unnamed = 0
    for step in range(12):
        order = orders(step)
        kind = "pairs" if step % EDIT_EVERY == EDIT_EVERY - 1 else "pictures"
        for row, named, ids in zip(order.rows, order.named, order.ids, strict=True):
            number = int(toy_pool.numbers[kind][order.size][row])
            p = picture_of(number) if kind == "pictures" else pair_of(number)[1]
            told = {f: FIELDS[f][v] for f, v in zip(FIELDS, named, strict=True) if v != UNKNOWN}
            assert all(getattr(p, field) == value for field, value in told.items())
            unnamed += not told
            assert told or np.array_equal(ids, orders.order(kind, order.size, [row], _Never(), 1).ids[0])
    assert 0 < unnamed < 30  # the dropped captions


class _Never:
    def random(self) -> float:
        return 0.0


@pytest.mark.parametrize("size", SIZES)
def test_it_reads_every_shape_and_learns(size: Size) -> None:
    torch.manual_seed(0)
    network = Reader(8)
    x, level = torch.randn(6, tokens_of(size), 64), torch.zeros(6)
    labels = torch.stack([torch.arange(6) % count for count in COUNTS], 1)
    labels[:, 3] = UNKNOWN
    optimizer = torch.optim.AdamW(network.parameters(), 0.01)
    losses: list[float] = []
    for _ in range(30):
        loss = loss_of(network(x, level, size), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    network.eval()
    assert [part.shape for part in network(x, level, size)] == [(6, count) for count in COUNTS]


def test_noise_is_that_of_flow_matching() -> None:
    torch.manual_seed(0)
    x = torch.full((2, 4000, 4), 3.0)
    z = noisy(x, torch.tensor([0.0, 0.5]))
    assert torch.equal(z[0], x[0])
    assert z[1].mean().item() == pytest.approx(1.5, abs=0.02) and z[1].std().item() == pytest.approx(0.5, abs=0.02)


class _Constant(nn.Module):
    """Is sure of the first class where the guess's first number is high."""

    def forward(self, z: Tensor, level: Tensor, size: Size) -> tuple[Tensor, ...]:
        assert size == SQUARE and len(z) == len(level)
        strength = z.mean(dim=(1, 2))
        return tuple(torch.cat([strength[:, None], torch.zeros(len(z), n - 1)], 1) for n in COUNTS)


def test_the_asked_loss_is_of_named_attributes_at_late_times() -> None:
    torch.manual_seed(0)
    guess = torch.ones(4, 64, 64, requires_grad=True)
    times = torch.tensor([0.9, 0.2, 0.8, 0.7])
    named = torch.full((4, len(COUNTS)), UNKNOWN)
    named[:2, 2] = 0  # the second row's time is too early, the others name nothing
    loss = asked_loss(_Constant(), guess, times, named, SQUARE)  # type: ignore[arg-type]
    count = COUNTS[2]
    sure, unsure = (-torch.log_softmax(torch.tensor([s] + [0.0] * (count - 1)), 0)[0].item() for s in (1.0, 0.5))
    assert sure < loss.item() < unsure  # noise took up to half of the guess
    loss.backward()
    assert guess.grad is not None and guess.grad[0].max() < 0 and not guess.grad[1:].any()
    named[0] = UNKNOWN
    assert asked_loss(_Constant(), guess, times, named, SQUARE).item() == 0  # type: ignore[arg-type]


def test_lessons_leave_held_out_pictures_alone(toy_pool: Pool) -> None:
    lessons = Lessons(toy_pool)
    for kept, kind in (("pictures", "pictures"), ("before", "pairs"), ("after", "pairs")):
        for size, rows in lessons.labels[kept].items():
            assert len(rows) == len(toy_pool.numbers[kind][size])
    apart = {tuple(row.flatten().tolist()) for size in SIZES for row in lessons.apart("pictures", size)[0]}
    rng = random.Random(0)
    for _ in range(30):
        x, labels, size = lessons.batch(rng, 4)
        assert x.shape == (4, tokens_of(size), 64) and labels.shape == (4, len(FIELDS))
        assert not apart & {tuple(row.flatten().tolist()) for row in x}


@pytest.mark.long
def test_it_is_taught_goes_on_and_is_asked(
    toy: Path, toy_vae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "CHUNK", 24)
    monkeypatch.setattr(transformer, "draw", lambda *_: None)
    made = ["--vae", str(toy_vae), "--pictures", "48", "--pairs", "48"]
    monkeypatch.setattr(reader, "run_replicas", _alone)
    monkeypatch.setattr(pool, "run_replicas", _alone)
    with pytest.MonkeyPatch.context() as patch:
        for steps in ("2", "3"):
            call = ["reader", *made, "--pool", str(tmp_path), "--out", str(tmp_path / "reader"), "--batch", "4"]
            patch.setattr("sys.argv", [*call, "--steps", steps])
            reader.main()
    rows = [json.loads(line) for line in (tmp_path / "reader" / "curve.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 3] and "read_scene" in rows[-1]
    run = [*made, "--out", str(tmp_path), "--from", str(toy), "--batch", "2", "--report", "10", "--steps", "4"]
    started(
        transformer.main,
        *run,
        "--ask",
        "0.1",
        "--own",
        "2",
        "--reader",
        str(tmp_path / "reader" / "reader.safetensors"),
    )
    row = json.loads((tmp_path / "curve.jsonl").read_text().splitlines()[-1])
    assert row["asked"] > 1 and row["asked_own"] > 1  # of a reader that knows nothing


def test_a_reader_without_a_lesson_is_not_kept(toy_vae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CHUNK", 24)
    monkeypatch.setattr(reader, "run_replicas", _alone)
    monkeypatch.setattr(pool, "run_replicas", _alone)
    out = tmp_path / "reader"
    call = ["reader", "--vae", str(toy_vae), "--pictures", "24", "--pairs", "24", "--pool", str(tmp_path)]
    monkeypatch.setattr("sys.argv", [*call, "--out", str(out), "--minutes", "0.0001"])
    with pytest.raises(SystemExit, match="Fix: give more"):
        reader.main()
    assert not list(out.glob("*"))


def test_a_reader_is_of_one_vae(
    toy_vae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    network, path = Reader(), tmp_path / "reader.safetensors"
    keep(path, network, {"encoder": pool.encoder_identity(toy_vae)})
    torch.manual_seed(0)
    x, level = torch.randn(3, tokens_of(WIDE), 64), torch.full((3,), 0.2)
    opened = reader.open_reader(path, toy_vae)
    for a, b in zip(opened(x, level, WIDE), network.eval()(x, level, WIDE), strict=True):
        assert torch.allclose(a, b, atol=0.01) and not a.requires_grad
    for given, why in ((reader.KEPT, "another VAE"), (tmp_path / "none.safetensors", "there is no")):
        call = ["transformer", "--vae", str(toy_vae), "--out", str(tmp_path / "out"), "--ask", "0.1"]
        monkeypatch.setattr("sys.argv", [*call, "--reader", str(given)])
        with pytest.raises(SystemExit):
            transformer.main()
        assert f"--reader: {given}" in (said := capsys.readouterr().err).replace("there is no ", "") and why in said
    assert not (tmp_path / "out").exists()


def test_the_kept_reader_reads_what_the_shipped_vae_makes() -> None:
    unseen = range(5_000_000, 5_000_120)
    latents = encode(AutoencoderKLFlux2.from_pretrained(SHIPPED / "vae"), draw_pictures(unseen)[SQUARE]).float()
    labels = classes_of([shown_in(p) for p in map(picture_of, unseen) if (p.width, p.height) == SQUARE])
    logits = reader.open_reader(reader.KEPT, SHIPPED / "vae")(latents, torch.zeros(len(latents)), SQUARE)
    right: dict[str, float] = {}
    for field, part, wanted in zip(FIELDS, logits, labels.unbind(1), strict=True):
        known = wanted != UNKNOWN
        right[field] = (part.argmax(1)[known] == wanted[known]).float().mean().item()
    assert right["scene"] > 0.9 and right["style"] > 0.9 and right["hair"] > 0.5


def _alone(world, main, *args) -> None:
    """In this process."""
    run_replicas(1, main, *args)
