"""What every Card in the catalogue must do, on a tiny random base of its classes, through the one unchanged loop."""

import json
import math
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageChops
from safetensors.torch import load_file

from likeness import events
from likeness.errors import InputError
from likeness.families import names_of
from likeness.lora.layouts import available, compare, convert, read_any
from tests.contract.conftest import CASES, Case, MakeRun, bases_of

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
# One of each family, with references where it takes any.
OF_FAMILIES = {
    case.card.family: case
    for case in sorted(CASES, key=lambda case: case.kind == "edit")
    if case.card.name != "starter"
}.values()

ROUNDING = 2  # of 255


def difference(one: Path, other: Path | Image.Image) -> int:
    """The largest difference of any channel of any pixel."""
    pictures = [(p if isinstance(p, Image.Image) else Image.open(p)).convert("RGB") for p in (one, other)]
    extrema = ImageChops.difference(*pictures).getextrema()
    return max(int(high) for _, high in extrema)  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]


def sample(run: Path, epoch: int) -> Path:
    (found,) = (run / f"samples/epoch-{epoch:03d}").glob("*.png")
    return found


@every_case
def test_trains(case: Case, contract_run: MakeRun) -> None:
    run = contract_run(case)
    steps = [e for e in events.read_events(run / "events.jsonl") if isinstance(e, events.StepDone)]
    assert len(steps) == 3 and all(math.isfinite(e.loss) and 0 < e.gradient_norm < math.inf for e in steps)
    weights = load_file(run / "checkpoints/epoch-001.safetensors")
    assert all(torch.isfinite(w).all() for w in weights.values())
    idle = re.compile(getattr(bases_of(case.card), "IDLE", {}).get(case.kind, r"(?!)"))
    still = {n for n, w in weights.items() if ".lora_B." in n and not w.any()}  # B starts at zero: no gradient came
    assert {n for n in still if not idle.search(n)} == set()
    assert {n for n in weights if ".lora_B." in n and idle.search(n)} == still, "what is said to be idle learns"


@every_case
def test_learning_shows(case: Case, contract_run: MakeRun) -> None:
    run = contract_run(case)
    assert difference(sample(run, 0), sample(run, 1)) > ROUNDING


@every_case
def test_reloads_in_a_fresh_process(case: Case, contract_run: MakeRun, fresh_samples: dict[str, Path]) -> None:
    """To the byte. Once in some hundred draws of SDXL, on a busy machine, one level of 255 differed, for a reason that
    has not been found: that is told as a warning, and anything more fails."""
    here, fresh = sample(contract_run(case), 1), fresh_samples[case.name]
    apart = difference(here, fresh)
    assert apart <= 1
    if apart:
        warnings.warn(f"{case.name}: {fresh} differs from {here} by one level of 255", stacklevel=1)


@every_case
def test_the_stock_pipeline_draws_the_same(case: Case, contract_run: MakeRun) -> None:
    """With the LoRA file loaded by diffusers itself, and its own text encoding unless that is known to be wrong."""
    run = contract_run(case)
    frozen = json.loads((run / "run.json").read_text())
    base, prompt = Path(frozen["config"]["base"]), frozen["config"]["sampling"]["prompts"][0]
    stock = bases_of(case.card).stock(
        case.card, base, run / "checkpoints/epoch-001.safetensors", prompt["prompt"],
        [Image.open(path).convert("RGB") for path in prompt["reference"]], 42,
    )  # fmt: skip
    assert difference(sample(run, 1), stock) <= ROUNDING


@every_case
def test_exported_to_each_layout_and_back_it_is_the_same(case: Case, contract_run: MakeRun, tmp_path: Path) -> None:
    ours = contract_run(case) / "checkpoints/epoch-001.safetensors"
    tables = names_of(case.card)
    before = read_any(ours, tables)
    (names,) = tables
    networks = {name.partition(".")[0] for name in before.changes}
    assert any(change.delta().any() for change in before.changes.values())
    for layout in available(names):
        there, back = tmp_path / layout / "there.safetensors", tmp_path / layout / "back.safetensors"
        if layout == "peft" and len(networks) > 1:
            with pytest.raises(InputError, match="text encoder"):
                convert(ours, there, layout, tables)
            continue
        there.parent.mkdir()
        convert(ours, there, layout, tables)
        after = convert(there, back, "diffusers", tables).after
        assert after.changes.keys() == before.changes.keys(), layout
        furthest, largest = compare(before.changes, after.changes)
        assert furthest <= 1e-6 * largest, layout


@pytest.mark.parametrize("case", OF_FAMILIES, ids=lambda case: case.name)
def test_checkpointing_changes_nothing(case: Case, contract_run: MakeRun) -> None:
    """Recomputed activations are the same numbers, so the trained weights are too."""
    plain, saved = contract_run(case), contract_run(case, "-checkpointed", "checkpointing: blocks")
    ours, theirs = (load_file(r / "checkpoints/epoch-001.safetensors") for r in (plain, saved))
    assert set(ours) == set(theirs)
    for name, weight in ours.items():
        assert torch.allclose(weight.float(), theirs[name].float(), atol=2e-3), name


@pytest.fixture(scope="session")
def fresh_samples(
    contract_run: MakeRun, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> dict[str, Path]:
    """By case, the run's test picture as a process that has never seen the run draws it from base and LoRA file.

    One process draws for all cases: most of its time goes into imports.
    """
    jobs = tmp_path_factory.mktemp("jobs")
    folders: dict[str, Path] = {}
    asked = " ".join(item.nodeid for item in request.session.items)
    for case in (case for case in CASES if f"fresh_process[{case.name}]" in asked):
        run = contract_run(case)
        config = json.loads((run / "run.json").read_text())["config"]
        prompt = config["sampling"]["prompts"][0]
        with Image.open(sample(run, 1)) as picture:
            width, height = picture.size
        folders[case.name] = jobs / case.name
        folders[case.name].mkdir()
        job = {
            "base": config["base"],
            "loras": [{"path": str(run / "checkpoints/epoch-001.safetensors"), "strength": 1.0}],
            "requests": [
                {
                    "prompt": prompt["prompt"], "negative_prompt": "", "width": width, "height": height, "steps": 2,
                    "guidance": config["sampling"]["guidance"], "seed": 42, "references": prompt["reference"],
                }
            ],
            "outputs": [str(folders[case.name] / "picture.png")],
            "hardware": config["hardware"],
        }  # fmt: skip
        (folders[case.name] / "job.json").write_text(json.dumps(job))
    code = "import sys, pathlib; from likeness.worker import sampling\n"
    code += "for f in sys.argv[1:]: sampling.run(pathlib.Path(f))"
    subprocess.run([sys.executable, "-c", code, *map(str, folders.values())], check=True, capture_output=True)
    return {name: folder / "picture.png" for name, folder in folders.items()}
