"""Pretraining on a toy: shapes, held-out pictures, going on from a state and from finished weights."""

import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLFlux2
from safetensors.torch import load_file
from transformers import AutoTokenizer, Qwen3ForCausalLM

from likeness.families.flux2 import token_ids
from starter_recipe import pool, transformer, vae
from starter_recipe.batches import EDIT_EVERY, Orders, batch_of
from starter_recipe.drawings import PAIR_RENDERS, draw_pictures, indices_of, pair_of, picture_of, size_of
from starter_recipe.flow import flow_loss, make_transformer, positions, tokens_of
from starter_recipe.pipeline import export, open_pipeline, sampling
from starter_recipe.pool import Pool, held_out, pool_folder
from starter_recipe.text import make_text_encoder
from starter_recipe.training import Replicas
from starter_recipe.vae_model import decode, encode, make_vae, psnr, to_tensor
from starter_recipe.weights import Weights
from starter_recipe.world import SIZES, render
from starter_recipe.world.picture import SQUARE
from tests.tiny_text import TOKENIZER

CPU = torch.device("cpu")
WIDE = (160, 96)


def started(main, *arguments: str) -> None:
    """As from the command line, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["recipe", *arguments, "--replicas", "1"])
        main()


# --- what is drawn


def test_every_third_picture_has_another_shape_and_all_shapes_take_turns() -> None:
    sizes = [size_of(i) for i in range(1200)]
    assert {size: sizes.count(size) for size in SIZES} == {s: 800 if s == SQUARE else 100 for s in SIZES}
    assert sorted(np.concatenate([indices_of(s, 50) for s in SIZES])) == list(range(50))
    for i in range(12):
        before, after, _ = pair_of(i)
        for p in (picture_of(i), before, after):
            assert (p.width, p.height) == size_of(i)
    drawn = draw_pictures(range(24))
    number = int(indices_of(WIDE, 24)[1])
    assert np.array_equal(drawn[WIDE][1], render(picture_of(number), number))


# --- the VAE


def test_latents_of_any_shape_are_the_pipelines_and_decode_again(toy: Path) -> None:
    network = AutoencoderKLFlux2.from_pretrained(toy / "vae", dtype=torch.float32).eval()
    pipe = open_pipeline(toy, CPU)
    for size, images in draw_pictures(range(12)).items():
        x = to_tensor(images)
        ours = encode(network, images).float()
        assert ours.shape == (len(images), tokens_of(size), 64)
        with torch.no_grad():
            theirs = pipe._encode_vae_image(x, generator=torch.Generator().manual_seed(0))
            theirs = pipe._pack_latents(theirs)
            again, plain = decode(network, ours, *size), network.decode(network.encode(x).latent_dist.mode()).sample
        assert psnr(ours / 8, theirs / 8).min() > 35  # bf16 against fp32
        assert psnr(again, plain.clamp(-1, 1)).min() > 30


def test_held_out_renders_are_never_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vae, "CHUNK", 24)
    monkeypatch.setattr(vae, "HELD_OUT", 12)
    vae.Images.make(tmp_path, 48, workers=0)
    images = vae.Images(tmp_path, 48, CPU)
    for size in SIZES:
        images.by_size[size][: images.held_out[size]] = 255  # no render is all white
    rng = np.random.default_rng(0)
    shapes = set()
    for _ in range(60):
        batch = images.batch(rng, 8)
        shapes.add(tuple(batch.shape[1:3]))
        assert len(batch) >= 2 and batch.dtype == torch.uint8
        assert not (batch == 255).all(dim=(1, 2, 3)).any()
    assert {(64, 64), (128, 128)} <= shapes and len(shapes) > 2
    held = [(styles, len(batch)) for styles, batch in images.held_out_batches()]
    assert sum(n for _, n in held) == 12 and all(len(styles) == n for styles, n in held)


def test_sketches_are_seen_as_often_as_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vae, "CHUNK", 60)
    monkeypatch.setattr(vae, "HELD_OUT", 30)
    vae.Images.make(tmp_path, 600, workers=0)

    def share_of_others(sketches: float) -> float:
        images = vae.Images(tmp_path, 600, CPU, sketches)
        for size in SIZES:
            for row, number in enumerate(indices_of(size, 600)):
                if row < images.held_out[size] or picture_of(int(number), vae.SERIES).style != "sketch":
                    images.by_size[size][row] = 255
        rng = np.random.default_rng(0)
        batches = [images.batch(rng, 8) for _ in range(60)]
        return float(torch.cat([(b == 255).all(dim=(1, 2, 3)) for b in batches]).float().mean())

    assert share_of_others(1) == 0 and share_of_others(0.5) == pytest.approx(0.45, abs=0.1)
    assert share_of_others(0) > 0.8


@pytest.mark.long
def test_the_vae_goes_on_from_weights_and_from_its_state(
    toy_vae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vae, "CHUNK", 24)
    monkeypatch.setattr(vae, "HELD_OUT", 12)
    run = ["--out", str(tmp_path), "--from", str(toy_vae), "--images", "48", "--batch", "2", "--report", "2"]
    started(vae.main, *run, "--steps", "2", "--rate", "0.001", "--average", "0.5")
    trained, start = (AutoencoderKLFlux2.from_pretrained(f) for f in (tmp_path / "final", toy_vae))
    moved = [(a - b).abs().max().item() for a, b in zip(trained.parameters(), start.parameters(), strict=True)]
    assert 0 < max(moved) < 0.02
    assert not torch.equal(trained.bn.running_var, start.bn.running_var)
    started(vae.main, *run, "--steps", "3")
    rows = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 2, 3]
    assert {"held_out_psnr", "psnr_flat"} <= rows[-1].keys()
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 3


def test_a_decoder_learns_alone_and_latents_stay(
    toy_vae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vae, "CHUNK", 24)
    monkeypatch.setattr(vae, "HELD_OUT", 12)
    run = ["--out", str(tmp_path), "--images", "48", "--batch", "2", "--steps", "2", "--average", "0.5"]
    with pytest.raises(SystemExit):
        started(vae.main, *run, "--decoder-only")
    started(vae.main, *run, "--from", str(toy_vae), "--decoder-only")
    before, after = (load_file(f / "diffusion_pytorch_model.safetensors") for f in (toy_vae, tmp_path / "final"))
    same = {name for name, tensor in before.items() if torch.equal(tensor, after[name])}
    assert not any(name.startswith("decoder.up_blocks") and before[name].ndim == 4 for name in same)
    assert all(name in same for name in before if name.startswith(("encoder.", "quant_conv.", "bn.")))
    assert pool_folder(tmp_path, str(toy_vae)) == pool_folder(tmp_path, str(tmp_path / "final"))


# --- the pool


def test_the_pool_keeps_each_picture_in_its_row(toy_vae: Path, toy_pool: Pool) -> None:
    network = AutoencoderKLFlux2.from_pretrained(toy_vae, dtype=torch.float32).eval()
    for size in SIZES:
        numbers = toy_pool.numbers["pictures"][size]
        assert toy_pool.latents["pictures"][size].shape == (len(numbers), tokens_of(size), 64)
        row, number = len(numbers) - 1, int(numbers[-1])
        wanted = encode(network, render(picture_of(number), number)[None])[0]
        assert torch.allclose(toy_pool.latents["pictures"][size][row].float(), wanted.float(), atol=0.05)
    number = int(toy_pool.numbers["pairs"][WIDE][0])
    for name, p in zip(("before", "after"), pair_of(number), strict=False):
        wanted = encode(network, render(p, PAIR_RENDERS + number)[None])[0]
        assert torch.allclose(toy_pool.latents[name][WIDE][0].float(), wanted.float(), atol=0.05)


def test_a_pool_can_grow_and_belongs_to_one_vae(toy_vae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CHUNK", 12)
    for pictures in (12, 20):
        monkeypatch.setattr(Replicas, "workers", 2 * (pictures == 20))  # the second time drawn ahead, as for a GPU
        pool.build(Replicas(0, 1, 0), tmp_path, str(toy_vae), pictures, 12)
        pool.join(tmp_path, pictures, 12)
    grown = Pool(tmp_path, CPU)
    assert sum(len(a) for a in grown.latents["pictures"].values()) == 24  # whole chunks
    torch.manual_seed(5)
    make_vae().half().save_pretrained(tmp_path / "other")
    assert pool_folder(tmp_path, str(toy_vae)) != pool_folder(tmp_path, str(tmp_path / "other"))


# --- batches and the loss


def test_batches_keep_to_one_shape_and_leave_held_out_pictures_alone(toy_pool: Pool) -> None:
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    orders = Orders(tokenizer, toy_pool, batch=4, rank=0)
    made = [orders(step) for step in range(60)]
    assert {o.size for o in made} == set(SIZES)
    assert 0.15 < np.mean([o.size != SQUARE for o in made]) < 0.55
    for step, o in enumerate(made):
        assert o.kind == ("pairs" if step % EDIT_EVERY == EDIT_EVERY - 1 else "pictures")
        assert o.rows.min() >= held_out(o.size, len(toy_pool.numbers[o.kind][o.size]))
    again = orders(7)
    assert np.array_equal(again.rows, made[7].rows) and np.array_equal(again.ids, made[7].ids)
    other = Orders(tokenizer, toy_pool, batch=4, rank=1)(7)
    assert not np.array_equal(other.ids, made[7].ids)
    apart = sum(len(o.rows) for o in orders.held_out("pictures"))
    assert apart == sum(held_out(s, len(toy_pool.numbers["pictures"][s])) for s in SIZES) > 0


@pytest.mark.parametrize("size", SIZES)
def test_positions_are_those_of_the_product(size: tuple[int, int]) -> None:
    width, height = size
    assert torch.equal(positions(size, 10), token_ids(height // 16, width // 16, 10))


def test_the_loss_falls_in_every_shape_and_for_edits(toy_pool: Pool) -> None:
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    torch.manual_seed(3)
    weights = Weights(make_transformer(1, 1, 1), make_text_encoder(len(tokenizer)), 0.02, Replicas(0, 1, 0))
    orders = [Orders(tokenizer, toy_pool, 4, 0).order(k, s, [1, 0], random.Random(0), 0)
              for k in ("pictures", "pairs") for s in (SQUARE, WIDE)]  # fmt: skip
    losses: list[list[float]] = [[] for _ in orders]
    for _ in range(15):
        for row, order in zip(losses, orders, strict=True):
            told, x0 = batch_of(order, toy_pool, weights.encoder)
            t, noise = transformer.fixed_draw(order, x0)
            loss, _ = flow_loss(weights.transformer, told, x0, t, noise)
            loss.backward()
            weights.step(1.0, 0.9)
            row.append(loss.item())
    assert all(row[-1] < 0.8 * row[0] for row in losses), losses


# --- the whole training


@pytest.mark.long
def test_pretraining_goes_on_from_weights_and_from_its_state(
    toy: Path, toy_vae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "CHUNK", 24)
    sheets: list[str] = []
    monkeypatch.setattr(transformer, "draw", lambda folder, path, device: sheets.append(path.name))
    run = ["--out", str(tmp_path), "--vae", str(toy_vae), "--from", str(toy), "--pictures", "48", "--pairs", "48"]
    run += ["--batch", "2", "--report", "3"]
    started(transformer.main, *run, "--steps", "4")
    monkeypatch.setattr(Replicas, "workers", 2)  # as on a GPU: from here on, batches are made ahead
    started(transformer.main, *run, "--steps", "5")
    rows = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [3, 4, 5] and sheets == ["sheet-000004.png", "sheet-000005.png"]
    assert {"loss_text", "loss_text_shuffled", "loss_text_other_shapes", "loss_edit"} <= rows[-1].keys()
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 5
    known, new = (AutoTokenizer.from_pretrained(f / "tokenizer") for f in (toy, tmp_path))
    assert len(new) > len(known)  # it learned the world's new words
    pipe = open_pipeline(tmp_path / "starter", CPU)
    how = {**sampling(tmp_path / "starter"), "num_inference_steps": 2}
    (image,) = pipe(prompt="a fox on a farm", width=WIDE[0], height=WIDE[1], **how).images
    assert image.size == WIDE


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_weights_are_written_in_bf16_whatever_they_were_trained_in(
    dtype: torch.dtype, toy: Path, toy_vae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("starter_recipe.weights.best_dtype", lambda device: dtype)
    encoder = Qwen3ForCausalLM.from_pretrained(toy / "text_encoder", dtype=torch.float32)
    trained = Weights(transformer.transformer_of(str(toy)), encoder, 0.01, Replicas(0, 1, 0))
    assert {p.dtype for p in trained.work} == {dtype}
    tokenizer = AutoTokenizer.from_pretrained(toy / "tokenizer")
    export(tmp_path / "starter", toy_vae, trained.transformer, trained.encoder, tokenizer)
    for part in ("transformer/diffusion_pytorch_model", "text_encoder/model"):
        there, before = (load_file(f / f"{part}.safetensors") for f in (tmp_path / "starter", toy))
        assert {v.dtype for v in there.values()} == {torch.bfloat16}
        assert all(torch.equal(v, before[k].bfloat16()) for k, v in there.items())
    assert {p.dtype for p in trained.work} == {dtype}  # and trained on as they were


def test_a_part_ends_when_its_minutes_are_over_and_counts_them(
    toy: Path, toy_vae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "CHUNK", 24)
    monkeypatch.setattr(transformer, "draw", lambda *_: None)
    run = ["--out", str(tmp_path), "--vae", str(toy_vae), "--from", str(toy), "--pictures", "48", "--pairs", "48"]
    run += ["--batch", "1", "--report", "1000", "--minutes", "1000"]
    for _ in range(2):
        started(transformer.main, *run, "--pause", "0.0001")
    assert torch.load(tmp_path / "state.pt", weights_only=True)["spent"] > 0
    rows = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert rows[1]["minutes_in_all"] * 60 > rows[1]["seconds"]
