"""`likeness compare` and `likeness evaluate` on a trained run: what is drawn, what is kept, what is written."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.conftest import Answer

Likeness = Callable[..., Answer]


@pytest.fixture
def trained(likeness: Likeness, config: Path, tmp_path: Path) -> Path:
    prompts = 'sampling.prompts=["tiny_char at sea","a boat at sea"]'
    measured = ("--set", "scorecard.enabled=false", "--set", "train.probe_every=0")
    assert likeness("train", config, "--set", prompts, *measured).code == 0
    return tmp_path / "runs" / "tiny"


def pictures(run: Path) -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in (run / "pictures").glob("*.png")}


def test_what_is_missing_is_drawn_once_and_kept(likeness: Likeness, trained: Path, tmp_path: Path) -> None:
    sample = trained / "samples/epoch-002/prompt-1-seed-42.png"
    before = sample.read_bytes()
    sample.unlink()
    words = ["compare", trained, "--epochs", "1,2", "--strengths", "0.5,1", "--prompt", "1"]
    told = likeness(*words, "--json").json
    assert told["columns"] == ["epoch 1 · 0.5", "epoch 1 · 1", "epoch 2 · 0.5", "epoch 2 · 1"] and told["drawn"] == 3
    assert Path(told["pictures"][0][3]).read_bytes() == before, "as it was drawn in training, to the last bit"
    drawn = [Path(path).read_bytes() for path in told["pictures"][0]]
    assert len(set(drawn)) == 4, "each LoRA at each strength gives a picture of its own"
    kept = pictures(trained)
    again = likeness(*words)
    assert again.code == 0 and "4 pictures, 0 of them drawn now" in again.words and pictures(trained) == kept
    assert "data:image/webp" in (trained / "comparisons/latest.html").read_text()

    own = f"{trained}/checkpoints/epoch-002.safetensors"
    other = tmp_path / "other.safetensors"
    other.write_bytes((trained / "checkpoints/epoch-001.safetensors").read_bytes())
    versus = ["--lora", own, "--lora", f"{other}:0.5", "--prompt", "1", "--save", "versus", "-o", "versus.png"]
    told = likeness("compare", trained, *versus, "--json").json
    assert told["columns"] == ["tiny epoch-002", "other · 0.5"] and told["drawn"] == 0, (
        "the same files, at strengths drawn"
    )
    assert Image.open("versus.png").width > 200
    view = likeness("compare", trained, "--view", "versus", "--json").json
    assert view["columns"] == told["columns"] and view["page"] == str(trained / "comparisons/versus.html")
    assert "versus" in likeness("compare", trained).words, "saved views are listed"

    refused = likeness("compare", trained, "--lora", trained / "run.json", "--prompt", "1")
    assert refused.code == 2 and "run.json" in refused.error
    refused = likeness("compare", trained, "--view", "versus", "--seeds", "2")
    assert refused.code == 2 and "--view" in refused.error


def test_evaluate(likeness: Likeness, trained: Path) -> None:
    words = ["evaluate", trained, "--strengths", "0.5,1", "--seeds", "2", "--encoder", "none"]
    answer = likeness(*words, "--json")
    assert answer.code == 0, answer.words
    (found,) = answer.json["epochs"]
    assert found["epoch"] == 2 and [s["strength"] for s in found["strengths"]] == [0, 0.5, 1]
    base, half, whole = (s["measures"] for s in found["strengths"])
    assert base["drift"] == [0, 0] and 0 < half["drift"][0] < whole["drift"][0] and whole["drift"][1] > 0
    assert found["suggested"] is None and "Cannot tell" in found["sentence"], "nothing measured likeness"
    page, grid = Path(found["page"]), Path(found["grid"])
    assert "Cannot tell" in page.read_text() and page.read_text().count("data:image/webp") == 3 * 2 * 2
    assert Image.open(grid).width > 300
    assert json.loads((trained / "evaluations/epoch-002.json").read_text())["seeds"] == 2

    gone = min((trained / "pictures").iterdir())
    gone.unlink()
    kept = pictures(trained)
    again = likeness(*words)
    assert again.code == 0 and "12 pictures, 1 to draw" in again.words and "drift" in again.words
    assert gone.is_file() and kept.items() <= pictures(trained).items(), "only what was missing was drawn"
