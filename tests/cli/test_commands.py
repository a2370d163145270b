"""Every command on its good day, for people and for machines."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from likeness.catalog import CARDS
from likeness.events import StepDone
from likeness.service import workers
from tests.cli.conftest import Answer
from tests.tiny_run import course, newest_state, write_pairs

Likeness = Callable[..., Answer]


@pytest.fixture
def trained(likeness: Likeness, config: Path, tmp_path: Path) -> Path:
    assert likeness("train", config).code == 0
    return tmp_path / "runs" / "tiny"


def test_train_tells_what_it_does_and_where_things_are(likeness: Likeness, config: Path, tmp_path: Path) -> None:
    answer = likeness("train", config)
    run = tmp_path / "runs" / "tiny"
    assert answer.code == 0 and answer.error == ""
    for words in ("3 images × 2 repeats × 2 epochs", "= 12 steps", "Suggestions", "rank 4", "on base", "report.html"):
        assert words in answer.words, answer.out
    assert sorted(p.name for p in run.iterdir()) == [
        "cache", "checkpoints", "events.jsonl", "grid.png", "lock", "log.txt", "manifest.jsonl", "report.html",
        "run.json", "samples", "state", "tensorboard",
    ]  # fmt: skip
    assert [p.name for p in sorted(run.glob("checkpoints/*"))] == ["epoch-001.safetensors", "epoch-002.safetensors"]
    assert sorted(p.relative_to(run).as_posix() for p in run.glob("samples/*/*")) == [
        f"samples/epoch-00{n}/prompt-1-seed-42.png" for n in range(3)
    ]


def test_train_in_json(likeness: Likeness, config: Path, tmp_path: Path) -> None:
    answer = likeness("train", config, "--json", "--set", "name=other", "--workspace", "elsewhere")
    said = answer.json
    assert answer.code == 0 and answer.error == ""
    assert said["run"] == "elsewhere/other" and len(said["checkpoints"]) == 2
    assert said["verdict"]["verdict"] == "cannot tell" and "held-out" in said["verdict"]["sentence"]
    assert all(Path(p).is_file() for p in [said["grid"], said["report"], *said["checkpoints"]])


def test_train_without_prompts_names_no_grid(likeness: Likeness, config: Path, tmp_path: Path) -> None:
    answer = likeness("train", config, "--json", "--set", "sampling.prompts=[]")
    assert answer.code == 0 and answer.json["grid"] is None and Path(answer.json["report"]).is_file()
    assert "Traceback" not in (tmp_path / "runs/tiny/log.txt").read_text()


def test_a_dry_run_writes_nothing(likeness: Likeness, config: Path, tmp_path: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    answer = likeness("train", config, "--dry-run")
    assert answer.code == 0 and "12 steps" in answer.words
    said = likeness("train", config, "--dry-run", "--json").json
    assert said["plan"]["steps"] == 12 and said["plan"]["images"] == 3
    assert said["findings"][0]["check"] == "count"
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_resume_adds_epochs(likeness: Likeness, config: Path, trained: Path) -> None:
    answer = likeness("train", config, "--resume", "--set", "train.epochs=3")
    assert answer.code == 0 and "going on at step 12" in answer.words
    assert set(course(trained)) == set(range(1, 19))
    assert (trained / "checkpoints/epoch-003.safetensors").is_file()


def test_settings_keep_where_they_came_from(likeness: Likeness, config: Path, trained: Path) -> None:
    assert likeness("train", config, "--set", "name=two", "--set", "lora.dropout=0.1").code == 0
    frozen = json.loads((trained.with_name("two") / "run.json").read_text())
    sources = frozen["sources"]
    assert sources["lora.dropout"] == "--set" and sources["lora.rank"] == "tiny.yaml:9"
    assert sources["lora.targets"] == "default" and sources["sampling.guidance"].startswith("card ")
    assert frozen["config"]["lora"]["dropout"] == 0.1
    assert len(frozen["digest"]) == 64


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("as_json", [False, True])
def test_asked_to_stop(
    likeness: Likeness, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, as_json: bool
) -> None:
    plain = workers.Worker._new_events

    def signal_at_step_three(self: workers.Worker):
        for event in plain(self):
            if isinstance(event, StepDone) and event.step == 3:
                signal.raise_signal(number)
            yield event

    monkeypatch.setattr(workers.Worker, "_new_events", signal_at_step_three)
    many = ("--set", "train.epochs=60", "--set", "train.sample_every=0", "--set", "train.probe_every=0")
    answer = likeness("train", config, *many, *(["--json"] if as_json else []))
    assert answer.code == 130
    run = tmp_path / "runs" / "tiny"
    last = max(course(run))
    assert newest_state(run).name == f"step-{last:08d}.safetensors" and last < 360
    message = answer.json["error"] if as_json else answer.error
    assert "--resume" in message and f"step {last}" in message
    assert len(message.strip().splitlines()) == 1
    assert signal.getsignal(number) is not signal.SIG_IGN


def test_a_worker_that_is_killed_is_told(likeness: Likeness, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = workers.Worker._new_events

    def kill_at_step_three(self: workers.Worker):
        for event in plain(self):
            if isinstance(event, StepDone) and event.step == 3:
                self.process.send_signal(signal.SIGKILL)
            yield event

    monkeypatch.setattr(workers.Worker, "_new_events", kill_at_step_three)
    answer = likeness("train", config, "--set", "train.epochs=60", "--set", "train.sample_every=0")
    assert answer.code == 3 and "SIGKILL" in answer.error and "log.txt" in answer.error


def test_compare(likeness: Likeness, trained: Path, tmp_path: Path) -> None:
    (trained / "grid.png").unlink()
    answer = likeness("compare", trained)
    assert answer.code == 0 and (trained / "grid.png").is_file()
    whole = Image.open(trained / "grid.png").size
    answer = likeness("compare", trained, "--epochs", "0,2", "-o", "some.png", "--json")
    assert answer.code == 0 and answer.json["epochs"] == [0, 2] and Path(answer.json["grid"]) == Path("some.png")
    some = Image.open(tmp_path / "some.png").size
    assert some[0] * some[1] < whole[0] * whole[1]
    refused = likeness("compare", trained, "--epochs", "7")
    assert refused.code == 2 and "7" in refused.error


def test_sample(likeness: Likeness, config: Path, tiny_base: Path, trained: Path, tmp_path: Path) -> None:
    loras = [f"{trained}/checkpoints/epoch-002.safetensors:0.5", f"{trained}/checkpoints/epoch-001.safetensors"]
    words = ["sample", "--base", tiny_base, "--prompt", "one", "--prompt", "two", "--seed", "1,5-6", "--device", "cpu"]
    small = ["--width", "48", "--height", "32", "--steps", "1"]
    answer = likeness(*words, *small, *(w for f in loras for w in ("--lora", f)), "-o", "drawn", "--json")
    assert answer.code == 0, answer.words
    said = answer.json
    assert [(p["prompt"], p["seed"]) for p in said["pictures"]] == [(p, s) for p in ("one", "two") for s in (1, 5, 6)]
    assert all(Image.open(p["path"]).size == (48, 32) for p in said["pictures"])
    assert {Path(p["path"]).parent for p in said["pictures"]} == {tmp_path / "drawn"}
    assert [use["strength"] for use in said["loras"]] == [0.5, 1.0]
    assert said["base"]["location"] == str(tiny_base) and said["pipeline"] == "Flux2KleinPipeline"
    assert set(said["pipeline_arguments"]) == {"max_sequence_length", "text_encoder_out_layers"}

    answer = likeness("sample", "--base", tiny_base, "--prompt", "one", *small, "-o", "one.png", "--device", "cpu")
    assert answer.code == 0 and (tmp_path / "one.png").is_file() and "seed 42" in answer.words


def test_sample_with_a_reference(likeness: Likeness, config: Path, tiny_base: Path, tmp_path: Path) -> None:
    Image.effect_noise((200, 100), 90).convert("RGB").save(tmp_path / "source.png")
    answer = likeness(
        "sample", "--base", tiny_base, "--prompt", "make it night", "--reference", "source.png", "--steps", "1",
        "--device", "cpu", "--json",
    )  # fmt: skip
    assert answer.code == 0, answer.words
    picture = answer.json["pictures"][0]
    assert (picture["width"], picture["height"]) == (176, 96)  # its shape, at the base's area


def test_sample_from_a_run_or_a_file(likeness: Likeness, tiny_base: Path, trained: Path, tmp_path: Path) -> None:
    """Other ways to the same base draw the same picture."""
    shutil.copy(tiny_base / "transformer/diffusion_pytorch_model.safetensors", tmp_path / "mine.safetensors")
    drawn: list[bytes] = []
    for number, base in enumerate(([tiny_base], [trained], ["mine.safetensors", "--parts-from", tiny_base])):
        file = tmp_path / f"{number}.png"
        how = ["--prompt", "one", "--width", "48", "--height", "32", "--steps", "1", "--device", "cpu", "-o", file]
        answer = likeness("sample", "--base", *base, *how)
        assert answer.code == 0, answer.words
        drawn.append(file.read_bytes())
    assert drawn[0] == drawn[1] == drawn[2]
    alone = likeness("sample", "--base", "mine.safetensors", "--prompt", "one")
    assert alone.code == 2 and "of an unlisted size" in alone.error and "parts" in alone.error


def test_an_edit_run(likeness: Likeness, tiny_base: Path, tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs", 2)
    Image.effect_noise((64, 64), 90).convert("RGB").save(tmp_path / "source.png")
    (tmp_path / "edit.yaml").write_text(
        f"name: edit\nkind: edit\nbase: {tiny_base}\n"
        "data: {datasets: [{path: pairs, repeats: 2}], resolution: 32}\n"
        "train: {epochs: 1, batch_size: 2, probes: 2}\nhardware: {device: cpu, precision: fp32, threads: 1}\n"
        "sampling: {prompts: [{prompt: put a hat on, reference: source.png}], steps: 1}\n"
    )
    answer = likeness("train", "edit.yaml")
    assert answer.code == 0, answer.words
    assert Image.open(tmp_path / "runs/edit/samples/epoch-001/prompt-1-seed-42.png").size == (128, 128)


def test_models(likeness: Likeness) -> None:
    answer = likeness("models")
    assert answer.code == 0 and all(name in answer.words for name in CARDS)
    assert [card["name"] for card in likeness("models", "--json").json] == list(CARDS)


def test_some_models(likeness: Likeness) -> None:
    answer = likeness("models", "Kontext")
    assert answer.code == 0 and "flux1-kontext-dev" in answer.words and "starter" not in answer.words
    answer = likeness("models", "no-such")
    assert answer.code == 2 and "'no-such'" in answer.error and "Fix:" in answer.error


def test_doctor(likeness: Likeness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # it starts python to ask torch
    answer = likeness("doctor", "--json")
    rows = {row["name"]: row for row in answer.json}
    assert {"python", "torch", "diffusers", "device", "starter", "disk", "memory"} <= set(rows)
    assert answer.code == (1 if any(row["state"] == "problem" for row in rows.values()) else 0)
    assert rows["torch"]["state"] == "ok" and rows["device"]["state"] == "ok"


@pytest.mark.parametrize("command", ["", "train", "compare", "sample", "convert", "models", "doctor"])
def test_help_shows_examples(likeness: Likeness, command: str) -> None:
    answer = likeness(*command.split(), "--help")
    assert answer.code == 0 and "likeness" in answer.words
    assert not command or f"likeness {command}" in answer.words


def test_version(likeness: Likeness) -> None:
    from likeness import __version__

    assert likeness("--version").out.strip() == __version__


def test_output_that_nobody_reads_to_the_end() -> None:
    """As in `likeness models --json | head -1`."""
    shown = subprocess.run(
        f"{sys.executable} -m likeness models --json | head -c 2; exit ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True,
    )  # fmt: skip
    assert shown.stdout == "[\n" and shown.stderr == ""
