"""The commands as a person starts them: real processes, from settings to a LoRA in a stock pipeline."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from diffusers import Flux2KleinPipeline
from PIL import Image

from tests.tiny_run import course, leftovers, newest_state, results, write_config, write_pictures

LIKENESS = [sys.executable, "-m", "likeness"]
LONG = ["--set", "train.epochs=200", "--set", "train.sample_every=0", "--set", "train.probe_every=0"]


@pytest.fixture
def place(tiny_base: Path, tmp_path: Path) -> Path:
    write_config(tmp_path / "tiny.yaml", tiny_base, write_pictures(tmp_path / "pictures", 3))
    return tmp_path


def wait_for_step(run: Path, process: subprocess.Popen[str], step: int) -> None:
    end = time.monotonic() + 180
    while max(course(run), default=0) < step:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)


def run_locked(run: Path) -> bool:
    with (run / "lock").open() as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.mark.long
def test_ctrl_c_and_going_on(place: Path, tiny_base: Path) -> None:
    """Ctrl-C as a terminal sends it: to the whole foreground group."""
    run = place / "runs" / "tiny"
    process = subprocess.Popen(
        [*LIKENESS, "train", "tiny.yaml", *LONG], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        process_group=0,
    )  # fmt: skip
    wait_for_step(run, process, 4)
    os.killpg(process.pid, signal.SIGINT)
    out, error = process.communicate(timeout=120)
    assert process.returncode == 130, out + error
    assert "--resume" in error and "Traceback" not in out + error
    stopped = max(course(run))
    assert newest_state(run).name == f"step-{stopped:08d}.safetensors"
    assert not run_locked(run), "the worker is gone"

    epochs = stopped // 6 + 1
    resumed = subprocess.run(
        [*LIKENESS, "train", "tiny.yaml", *LONG, "--set", f"train.epochs={epochs}", "--resume"],
        cwd=place, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert f"going on at step {stopped}" in " ".join(resumed.stdout.split())
    assert set(course(run)) == set(range(1, epochs * 6 + 1))
    assert results(run) and leftovers(run) == [] and (run / "report.html").is_file()

    # The last file, in the stock pipeline.
    pipeline = Flux2KleinPipeline.from_pretrained(tiny_base)
    pipeline.load_lora_weights(run / f"checkpoints/epoch-{epochs:03d}.safetensors")
    picture = pipeline(
        prompt="tiny_char", width=32, height=32, num_inference_steps=1, text_encoder_out_layers=(1, 2, 3),
        max_sequence_length=48, generator=torch.Generator().manual_seed(1),
    ).images[0]  # fmt: skip
    assert isinstance(picture, Image.Image)


@pytest.mark.long
def test_a_killed_terminal_leaves_a_saved_run(place: Path) -> None:
    run = place / "runs" / "tiny"
    process = subprocess.Popen(
        [*LIKENESS, "train", "tiny.yaml", *LONG], cwd=place, stdout=subprocess.DEVNULL, text=True
    )
    wait_for_step(run, process, 4)
    process.kill()
    process.wait()
    end = time.monotonic() + 120
    while run_locked(run):
        assert time.monotonic() < end, "the worker trains on unseen"
        time.sleep(0.05)
    last = max(course(run))
    assert 4 <= last < 1200
    assert newest_state(run).name == f"step-{last:08d}.safetensors"
