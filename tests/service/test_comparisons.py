"""What a comparison shows, where its pictures are, and what has to be drawn: on a run whose files hold no weights."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from likeness.errors import InputError
from likeness.service import comparisons, evaluations, pictures
from likeness.service.comparisons import View
from likeness.service.samples import LoraUse

PROMPTS = '["tiny_char at sea", {prompt: "a boat at sea", seed: 7}]'


@pytest.fixture
def run(make_run: Callable[..., Path]) -> Path:
    """Two epochs with files, and with the test pictures of the base and both."""
    folder = make_run(sampling__prompts=PROMPTS)
    for epoch in range(3):
        for number, seed in ((1, 42), (2, 7)):
            path = folder / f"samples/epoch-{epoch:03d}/prompt-{number}-seed-{seed}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), (40 * epoch, 90, 60 * number)).save(path)
        if epoch:
            file = folder / f"checkpoints/epoch-{epoch:03d}.safetensors"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(bytes([epoch]))
    return folder


def laid(run: Path, **asked: object) -> comparisons.Laid:
    return comparisons.lay_out(pictures.open_album(run), View(**asked))  # type: ignore[arg-type]


def labels(found: comparisons.Laid) -> list[str]:
    return [label for label, _ in found.columns]


def test_the_runs_own_pictures_are_not_drawn_again(run: Path):
    found = laid(run, epochs=(0, 1, 2))
    assert labels(found) == ["base", "epoch 1", "epoch 2"] and found.missing == []
    assert [row.seed for row in found.rows] == [42, 7]
    assert found.paths[2, 1] == (run / "samples/epoch-002/prompt-2-seed-7.png").resolve()


def test_seeds_strengths_and_new_prompts_are(run: Path):
    seeds = laid(run, epochs=(1,), seeds=3)
    assert [row.seed for row in seeds.rows] == [42, 43, 44, 7, 8, 9] and len(seeds.missing) == 4
    strengths = laid(run, strengths=(0.5, 1.0))
    assert labels(strengths) == ["epoch 2 · 0.5", "epoch 2 · 1"] and len(strengths.missing) == 2
    both = laid(run, epochs=(0, 1), strengths=(0.5, 1.0))
    assert labels(both) == ["base", "epoch 1 · 0.5", "epoch 1 · 1"], "the base has no strength"
    prompt = laid(run, prompts=("tiny_char on a hill", "2"))
    assert labels(prompt) == ["base", "epoch 1", "epoch 2"] and len(prompt.missing) == 3
    assert [row.prompt.prompt for row in prompt.rows] == ["tiny_char on a hill", "a boat at sea"]


def test_pictures_have_the_name_of_all_that_decides_them(run: Path, tmp_path: Path):
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"a")

    def name(**asked: object) -> str:
        found = laid(run, prompts=("1",), **asked)
        return found.paths[len(found.columns) - 1, 0].name

    names = {
        name(strengths=(0.5,)), name(strengths=(0.6,)), name(epochs=(1,), strengths=(0.5,)),
        name(loras=(LoraUse(other),)), name(loras=(LoraUse(other, 0.5),)),
    }  # fmt: skip
    assert len(names) == 5 and name(strengths=(0.5,)) in names
    before = name(loras=(LoraUse(other),))
    other.write_bytes(b"b")
    assert name(loras=(LoraUse(other),)) != before
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(b"b")
    assert name(loras=(LoraUse(copy),)) == name(loras=(LoraUse(other),)), "the file's content counts, not its name"


def test_loras_stand_beside_epochs(run: Path, tmp_path: Path):
    noa = tmp_path / "noa" / "checkpoints" / "epoch-007.safetensors"
    noa.parent.mkdir(parents=True)
    noa.write_bytes(b"n")
    own = run / "checkpoints/epoch-001.safetensors"
    assert labels(laid(run, loras=(LoraUse(own), LoraUse(noa, 0.8)))) == ["tiny epoch-001", "noa epoch-007 · 0.8"]
    assert labels(laid(run, epochs=(2,), loras=(LoraUse(noa),))) == ["epoch 2", "noa epoch-007"]


def test_an_epoch_without_a_file_is_shown_but_not_drawn(run: Path):
    (run / "checkpoints/epoch-001.safetensors").unlink()
    assert laid(run, epochs=(1,)).missing == []
    with pytest.raises(InputError, match=r"epoch-001.*not there any more"):
        laid(run, epochs=(1,), seeds=2)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"epochs": (7,)}, "epoch 7 has no LoRA file.*1, 2"),
        ({"seeds": 0}, "--seeds"),
        ({"seeds": 65}, "--seeds"),
        ({"prompts": ("3",)}, "no test prompt 3"),
        ({"prompts": ("1,x2",), "epochs": (7,)}, "epoch 7"),
        ({"loras": (LoraUse(Path("gone.safetensors")),)}, "gone.safetensors"),
    ],
)
def test_refusals(run: Path, asked: dict[str, object], why: str):
    with pytest.raises(InputError, match=why):
        laid(run, **asked)


def test_a_view_is_opened_again(run: Path):
    view = View((0, 2), (0.5, 1.0), 3, ("1", "tiny_char, waving"), (LoraUse(Path("/a/b.safetensors"), 0.8),))
    path = comparisons.save_view(run, "choice", view)
    assert comparisons.load_view(run, "choice") == view and json.loads(path.read_text())["version"] == 1
    assert comparisons.view_names(run) == ["choice"]
    with pytest.raises(InputError, match=r"no saved view 'other'.*choice"):
        comparisons.load_view(run, "other")
    path.write_text("[]")
    with pytest.raises(InputError, match="not a saved view"):
        comparisons.load_view(run, "choice")
    for name in ("../choice", "", "latest"):
        with pytest.raises(InputError, match="no name for a view"):
            comparisons.save_view(run, name, view)


def test_what_is_there_is_written(run: Path):
    found = laid(run, strengths=(0.5, 1.0))
    assert comparisons.order(laid(run, epochs=(0, 1))) is None, "nothing is missing"
    page, grid = comparisons.write(found)
    assert page == run / "comparisons/latest.html" and page.read_text().count('class="empty"') == 2
    assert Image.open(grid).width > 100


@pytest.mark.parametrize(
    ("text", "why"), [("a", "no number"), ("0.5,,1", "no number"), ("9", "range"), ("nan", "range")]
)
def test_strengths_are_numbers(text: str, why: str):
    assert pictures.parse_strengths("0.5, 1,0.50") == [0.5, 1]
    with pytest.raises(InputError, match=why):
        pictures.parse_strengths(text)


def protocol(run: Path, **asked: object) -> evaluations.Laid:
    values = {"strengths": (0.5, 1.0), "seeds": 2, **asked}
    return evaluations.lay_out(pictures.open_album(run), evaluations.Protocol(**values))  # type: ignore[arg-type]


def test_an_evaluation_is_laid_out(run: Path):
    found = protocol(run)
    assert found.trials == [(0, 0.0), (2, 0.5), (2, 1.0)] and found.notes == []
    assert len(found.missing) == 3 * 2 * 2 - 4, "the run's own pictures are there"
    assert protocol(run, epochs=(1, 2)).trials == [(0, 0.0), (1, 0.5), (1, 1.0), (2, 0.5), (2, 1.0)]


def test_a_control_is_added_where_there_is_none(run: Path):
    found = protocol(run, prompts=("1",))
    assert [p.prompt for p in found.prompts] == ["tiny_char at sea", "a person at sea"] and "control" in found.notes[0]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"strengths": (0.0,)}, "above 0"),
        ({"strengths": (-1.0, 1.0)}, "above 0"),
        ({"epochs": (0,)}, "0 is the base"),
        ({"seeds": 0}, "--seeds"),
        ({"prompts": ("2",)}, "trigger"),
        ({"encoder": "nowhere/at/all"}, "--encoder"),
        ({"seeds": 64, "strengths": tuple(n / 50 for n in range(1, 51))}, "too many"),
    ],
)
def test_evaluations_that_cannot_be(run: Path, asked: dict[str, object], why: str):
    with pytest.raises(InputError, match=why):
        protocol(run, **asked)


def test_a_run_without_files_cannot_be_evaluated(run: Path):
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="no LoRA files"):
        protocol(run)
