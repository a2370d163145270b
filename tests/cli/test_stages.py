"""One settings file, several runs, each going on from the LoRA of the one before."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.config.load import config_to_dict, read_config, read_stages
from likeness.errors import InputError
from likeness.events import StepDone
from likeness.service import workers
from tests.cli.conftest import Answer
from tests.tiny_run import write_pictures

Likeness = Callable[..., Answer]
STAGES = """
stages:
  - name: faces
    settings: {{train.epochs: 1, data.datasets: [{faces}]}}
  - name: all
    go_on_from: 1
    settings: {{optim.learning_rate: 0.001}}
"""


@pytest.fixture
def staged(config: Path, tmp_path: Path) -> Path:
    faces = write_pictures(tmp_path / "faces", 2, seed=50)
    config.write_text(config.read_text() + STAGES.format(faces=faces.name))
    return config


def test_each_stage_has_settings_of_its_own(staged: Path, tmp_path: Path) -> None:
    assert [s.name for s in read_stages(staged)] == ["faces", "all"]
    faces, everything = (read_config(staged, stage=name) for name in ("faces", "all"))
    assert (faces.config.name, everything.config.name) == ("tiny-faces", "tiny-all")
    assert [d.path for d in faces.config.data.datasets] == [str(tmp_path / "faces")]
    assert (faces.config.train.epochs, everything.config.train.epochs) == (1, 2)
    assert everything.config.optim.learning_rate == 0.001 and faces.config.optim.learning_rate == 0.01
    line = staged.read_text().splitlines().index("    settings: {optim.learning_rate: 0.001}") + 1
    assert everything.sources["optim.learning_rate"] == f"{staged.name}:{line}"
    assert "stages" not in config_to_dict(faces.config)


@pytest.mark.parametrize(
    ("stages", "problem"),
    [
        ("[{name: a, settings: {train.epoch: 2}}]", "no such setting; did you mean 'epochs'?"),
        ("[{name: a, settings: {train.epochs: 0}}]", "train.epochs: should be at least 1"),
        ("[{name: a}, {name: a}]", "stages.1.name: 'a' is the name of an earlier stage too"),
        ("[{name: a, settings: {base: other}}]", "base is the same in all stages"),
        ("[{name: a, settings: {lora.rank: 8}}]", "lora.rank cannot differ"),
        ("[{name: a, settings: {lora: {rank: 8}}}]", "lora is a group; name single settings"),
        ("[{name: a/b}]", "stages.0.name"),
        ("[{names: a}]", "names: no such setting"),
        ("[{name: a}, {name: b, go_on_from: 9}]", "go_on_from: 9 is no epoch of the stage before, which has 2"),
        ("[{name: a}, {name: b, go_on_from: best}]", "go_on_from"),
        ("5", "stages: should be a list"),
    ],
)
def test_wrong_stages_are_refused_before_the_first_begins(
    likeness: Likeness, config: Path, tmp_path: Path, stages: str, problem: str
) -> None:
    config.write_text(config.read_text() + f"stages: {stages}\n")
    answer = likeness("train", config)
    assert answer.code == 2 and problem in answer.error.replace("\n", " "), answer.error
    assert config.name in answer.error or "stage" in answer.error
    assert not (tmp_path / "runs").exists()


def test_stages_follow_each_other(likeness: Likeness, staged: Path, tmp_path: Path) -> None:
    planned = likeness("train", staged, "--dry-run", "--json").json
    assert [p["plan"]["images"] for p in planned] == [2, 3]
    told = likeness("train", staged, "--json").json
    assert [Path(r["run"]).name for r in told] == ["tiny-faces", "tiny-all"]
    first, second = (
        json.loads((tmp_path / "runs" / name / "run.json").read_text()) for name in ("tiny-faces", "tiny-all")
    )
    start = tmp_path / "runs/tiny-faces/checkpoints/epoch-001.safetensors"
    assert first["parent"] is None and second["config"]["lora"]["start_from"] == str(start)
    assert second["parent"]["run"] == "tiny-faces" and second["parent"]["epoch"] == 1
    again = likeness("train", staged)
    assert again.code == 2 and "tiny-faces: a run of this name is there already" in again.error
    resumed = likeness("train", staged, "--resume")
    assert resumed.code == 0 and resumed.words.count("finished before") == 2


def test_an_interrupted_stage_goes_on(
    likeness: Likeness, staged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = workers.Worker._new_events  # pyright: ignore[reportPrivateUsage]

    def stop_in_the_second(self: workers.Worker):
        for event in plain(self):
            if self.folder.name == "tiny-all" and isinstance(event, StepDone) and event.step == 3:
                self.process.send_signal(signal.SIGINT)
            yield event

    monkeypatch.setattr(workers.Worker, "_new_events", stop_in_the_second)
    assert likeness("train", staged).code == 130
    monkeypatch.setattr(workers.Worker, "_new_events", plain)
    resumed = likeness("train", staged, "--resume")
    assert resumed.code == 0 and resumed.words.count("finished before") == 1, resumed.out
    assert (tmp_path / "runs/tiny-all/checkpoints/epoch-002.safetensors").exists()


def test_one_run_of_several_is_not_a_run(staged: Path) -> None:
    from likeness.service import runs

    with pytest.raises(InputError, match=r"stages: this is several runs. Fix: train it with `likeness train"):
        runs.prepare(staged)
