"""Commands in the pages run: page by page, from top to bottom, in a copy of the examples.

Blocks marked `run: small` train and draw on a base of random weights, each picture once an epoch.
"""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT, Block, blocks

SMALL = {
    "train": [
        "data.resolution=32",
        "data.datasets.0.repeats=1",
        "sampling.steps=1",
        "train.probes=1",
        "sampling.width=32",
        "sampling.height=32",
    ],
    "sample": ["--steps", "1", "--width", "32", "--height", "32"],
}
RUN_PAGES = [page for page in PAGES if any(b.mark.startswith("run") for b in blocks(page))]


def smaller(arguments: list[str], tiny: Path) -> list[str]:
    """The same command on the tiny base."""
    if arguments[0] == "train":
        overrides = [f"base={tiny}", *SMALL["train"]]
        return arguments + [word for o in overrides for word in ("--set", o)]
    if arguments[0] == "sample":
        return [str(tiny) if word == "starter" else word for word in arguments] + SMALL["sample"]
    return arguments


def run(words: list[str], folder: Path, place: str) -> str:
    environment = {**os.environ, "COLUMNS": "200", "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{place}: {shlex.join(words)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return " ".join(done.stdout.split())


def follow(block: Block, folder: Path, tiny: Path) -> None:
    """Do what a block says, in `folder`."""
    small = block.mark == "run: small"
    if block.mark.startswith("file: "):
        (folder / block.mark.removeprefix("file: ")).write_text(block.text, encoding="utf-8")
    elif block.mark.startswith("run") and block.language == "python":
        assert '"likeness/starter"' in block.text
        run([sys.executable, "-c", block.text.replace('"likeness/starter"', repr(str(tiny)))], folder, block.place)
    elif block.mark.startswith("run"):
        for command, lines in block.commands():
            program, *arguments = shlex.split(command)
            assert program == "likeness", f"{block.place}: {program} cannot be run here"
            arguments = smaller(arguments, tiny) if small else arguments
            output = run([sys.executable, "-m", "likeness", *arguments], folder, block.place)
            for line in lines:
                assert " ".join(line.split()) in output, f"{block.place}: not in the output: {line}\n{output}"


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=[pytest.mark.long] * (p.name == "tutorial.md")) for p in RUN_PAGES],
    ids=lambda p: p.name,
)
def test_a_page_can_be_followed(page: Path, tmp_path: Path, tiny_base: Path):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for block in blocks(page):
        follow(block, tmp_path, tiny_base)
    if page.name == "tutorial.md":
        _check_what_the_tutorial_leaves(tmp_path)


def _check_what_the_tutorial_leaves(folder: Path) -> None:
    """The files that its prose speaks of."""
    first = folder / "runs" / "first"
    for path in (first / "report.html", first / "grid.png", folder / "girl.png", folder / "some.png"):
        assert path.stat().st_size
    assert len(list((first / "checkpoints").glob("epoch-*.safetensors"))) == 10
    assert len(list((folder / "desert").glob("*.png"))) == 3
    assert (folder / "desert-1.png").stat().st_size


def test_a_command_that_fails_is_seen(tmp_path: Path):
    block = Block("run", "console", "$ likeness train nowhere.yaml\n", "page:1")
    with pytest.raises(AssertionError, match="no such file"):
        follow(block, tmp_path, tmp_path)


def test_output_that_differs_is_seen(tmp_path: Path):
    block = Block("run", "console", "$ likeness --version\n99.9\n", "page:1")
    with pytest.raises(AssertionError, match="not in the output"):
        follow(block, tmp_path, tmp_path)
