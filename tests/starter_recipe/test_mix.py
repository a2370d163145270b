"""Weights between two starters, on toys."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

from starter_recipe import mix
from starter_recipe.pipeline import export
from starter_recipe.pool import Pool, pool_folder

PARTS = ("transformer/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors")


@pytest.fixture
def gone_on(toy: Path, toy_vae: Path, toy_pool: Pool, tmp_path: Path) -> Path:
    """A training's folder: every weight of the toy is a tenth more."""
    folder = tmp_path / "transformer"
    folder.mkdir()
    pool_folder(folder, str(toy_vae)).symlink_to(toy_vae.parent / "pool")
    transformer, encoder = mix.networks(toy)
    with torch.no_grad():
        for p in (*transformer.parameters(), *encoder.parameters()):
            p += 0.1
    export(folder / "starter", toy_vae, transformer, encoder, AutoTokenizer.from_pretrained(toy / "tokenizer"))
    rows = [{"step": 1, "seconds": 1.0, "loss_text": 9.0}, {"step": 2, "seconds": 2.0, "loss_text": 8.0}]
    (folder / "curve.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_the_mixture_lies_on_the_way_and_its_losses_end_the_curve(toy: Path, gone_on: Path, tmp_path: Path) -> None:
    mix.main(["--from", str(toy), "--transformer", str(gone_on), "--out", str(tmp_path / "mix"), "--share", "0.25"])
    for part in PARTS:
        before, after, mixed = (load_file(f / part) for f in (toy, gone_on / "starter", tmp_path / "mix" / "starter"))
        assert before.keys() == mixed.keys()
        for name, value in mixed.items():
            wanted = before[name].float().lerp(after[name].float(), 0.25)
            assert torch.equal(value, wanted.bfloat16()) and not torch.equal(value, before[name]), name
    *rows, last = [json.loads(line) for line in (tmp_path / "mix" / "curve.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2] and (last["step"], last["seconds"]) == (2, 2.0)
    assert last["share"] == 0.25 and 0 < last["loss_text"] != 8.0 and last["loss_edit"] > 0


@pytest.mark.parametrize(
    ("share", "part", "told"),
    [("1.5", "", "--share"), ("0.5", "tokenizer", "another tokenizer"), ("0.5", "vae", "vae")],
)
def test_what_cannot_be_mixed_is_refused_before_anything_is_written(
    share: str, part: str, told: str, toy: Path, gone_on: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = tmp_path / "start"
    shutil.copytree(toy, start)
    if part == "tokenizer":
        tokenizer = AutoTokenizer.from_pretrained(start / part)
        tokenizer.add_tokens(["gorl"])
        tokenizer.save_pretrained(start / part)
    elif part:
        weights = next((start / part).glob("*.safetensors"))
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x07")
    with pytest.raises(SystemExit):
        mix.main(["--from", str(start), "--transformer", str(gone_on), "--out", str(tmp_path / "m"), "--share", share])
    assert told in capsys.readouterr().err and not (tmp_path / "m").exists()
