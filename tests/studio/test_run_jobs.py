"""Runs by real workers through the queue: a mock, and one on a tiny base from the start to pictures and files."""

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from likeness.errors import Conflict, InputError, NotFound
from likeness.events import KINDS, read_events
from likeness.report.history import read_history
from likeness.service.comparisons import View
from likeness.service.evaluations import Protocol
from likeness.studio import comparing, queue, run_files, runs
from likeness.studio.comparing import ENDINGS
from likeness.studio.supervisor import Supervisor
from likeness.studio.workspace import Studio
from likeness.worker import training
from tests.studio.runs_at_hand import a_machine, mika, settings, start, wait

Supervise = Callable[[], Supervisor]


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    a_machine(monkeypatch)


@pytest.fixture
def supervise(studio: Studio) -> Iterator[Supervise]:
    made: list[Supervisor] = []

    def run() -> Supervisor:
        made.append(Supervisor(studio, ["cpu"], ENDINGS))
        made[-1].start()
        return made[-1]

    yield run
    for job in queue.listed(studio, states=["running"]):
        queue.ask_to_stop(studio, job.id, "canceled")
        queue.ask_to_stop(studio, job.id, "canceled")
    wait(lambda: not queue.listed(studio, states=["running"]) or not made)
    for one in made:
        one.stop()


def state(studio: Studio, name: str) -> str:
    return runs.summary_of(studio, name).state


# --- mock


@pytest.mark.long
def test_a_mock_run_walks_through_all_states(studio: Studio, tmp_path: Path, supervise: Supervise) -> None:
    mika(studio, tmp_path)
    long = settings(train={"epochs": 60}, data={"datasets": [{"path": "dataset:mika", "repeats": 20}]})
    start(studio, long, mock=True)
    assert state(studio, "mika") == "queued"
    supervise()
    wait(lambda: runs.summary_of(studio, "mika").step > 20)
    runs.sample_now(studio, "mika")
    wait(lambda: runs.view(studio, "mika").now)
    runs.stop(studio, "mika", "paused")
    wait(lambda: state(studio, "mika") == "paused")
    stopped = runs.summary_of(studio, "mika").step
    assert 0 < stopped < 1200
    runs.resume(studio, "mika")
    wait(lambda: state(studio, "mika") == "finished")
    found = runs.view(studio, "mika")
    assert found.summary.mock and found.choices == list(range(1, 61)) and found.summary.suggested_epoch == 60
    told = list(read_events(studio.run_folder("mika") / "events.jsonl"))
    starts = [e for e in told if e.kind == "run_started"]
    assert [e.resumed_at for e in starts] == [0, stopped]  # type: ignore[attr-defined]
    assert {e.kind for e in told} == set(KINDS) - {"update_skipped", "probes", "measured"}


def test_files_of_a_mock_say_that_they_are(studio: Studio, tmp_path: Path, supervise: Supervise) -> None:
    mika(studio, tmp_path)
    start(studio, settings(train={"epochs": 1}), mock=True)
    supervise()
    wait(lambda: state(studio, "mika") == "finished")
    data = run_files.checkpoint(studio, "mika", 1).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    assert header["__metadata__"]["likeness_mock"] == "nothing was trained"
    assert len(data) == 8 + length + header["mock.weight"]["data_offsets"][1]
    sample = runs.view(studio, "mika").epochs[-1].samples[0]
    with Image.open(run_files.picture(studio, "mika", sample.path)) as image:
        assert image.info["parameters"].startswith("MOCK: drawn by no model")
    assert "mock run" in (studio.run_folder("mika") / "events.jsonl").read_text()
    assert run_files.report(studio, "mika").is_file() and run_files.grid(studio, "mika").is_file()


def test_a_mock_is_never_trained_on(studio: Studio, tmp_path: Path) -> None:
    mika(studio, tmp_path)
    start(studio, mock=True)
    with pytest.raises(InputError, match="is a mock run"):
        training.read_job(studio.run_folder("mika"))


# --- a real one


@pytest.mark.long
def test_from_start_to_files_on_a_tiny_base(
    studio: Studio, tiny_base: Path, pictures: Path, supervise: Supervise
) -> None:
    config = settings(
        base=str(tiny_base), trigger="tiny_char", data={"datasets": [{"path": str(pictures), "repeats": 2}],
                                                        "resolution": 32},
        train={"epochs": 2, "probes": 2, "batch_size": 1}, lora={"rank": 4}, optim={"learning_rate": 0.01},
        sampling={"prompts": ["tiny_char at sea"], "width": 32, "height": 32, "steps": 2},
        hardware={"device": "cpu", "precision": "fp32", "threads": 1},
    )  # fmt: skip
    start(studio, config)
    supervise()
    wait(lambda: state(studio, "mika") == "finished", seconds=240)
    found = runs.view(studio, "mika")
    assert found.choices == [1, 2] and [e.epoch for e in found.epochs] == [0, 1, 2]
    assert all(e.samples and e.train_loss is not None for e in found.epochs) and len(found.loss) == 12
    assert found.memory_bytes and found.images_per_second and found.verdict

    whole = comparing.compare(studio, "mika", View())
    assert whole.columns == ["base", "epoch 1", "epoch 2"] and whole.missing == 0
    assert all(cell.path and run_files.picture(studio, "mika", cell.path) for cell in whole.cells)

    half = View(epochs=(2,), strengths=(0.5,), prompts=("1", "tiny_char in a wood"))
    first = comparing.compare(studio, "mika", half)
    assert first.missing == 2 and first.job is None
    drawing = comparing.compare(studio, "mika", half, draw=True)
    assert drawing.job and comparing.compare(studio, "mika", half, draw=True).job.id == drawing.job.id  # type: ignore[union-attr]
    test = comparing.evaluate(studio, "mika", Protocol((1.0,), 1))
    score = comparing.score(studio, "mika")
    for job in (drawing.job, test, score):
        wait(lambda id_=job.id: queue.get(studio, id_).state in queue.ENDED, seconds=240)
        assert queue.get(studio, job.id).state == "finished", queue.get(studio, job.id).error
    assert comparing.compare(studio, "mika", half).missing == 0
    (told,) = comparing.evaluated(studio, "mika")
    assert told["sentence"] and run_files.picture(studio, "mika", told["grid"])

    comparing.save_view(studio, "mika", "half", half)
    assert comparing.views(studio, "mika") == [("half", half)]
    comparing.delete_view(studio, "mika", "half")
    with pytest.raises(NotFound):
        comparing.load_view(studio, "mika", "half")

    with pytest.raises(Conflict, match="has 2 already"):
        runs.extend(studio, "mika", 2)
    runs.extend(studio, "mika", 3)
    wait(lambda: state(studio, "mika") == "finished", seconds=240)
    longer = runs.view(studio, "mika")
    assert longer.choices == [1, 2, 3] and len(longer.loss) == 18 and longer.loss[:12] == found.loss

    again = runs.plan(studio, settings(**config | {"name": "again"}))
    assert "as fast as run mika" in again.cost.time.source and "measured in run mika" in again.cost.memory.source
    assert read_history(studio.run_folder("mika")).verdict is not None


def test_only_pictures_of_the_run_are_given_away(studio: Studio, tmp_path: Path) -> None:
    mika(studio, tmp_path)
    start(studio)
    folder = studio.run_folder("mika")
    (folder / "samples").mkdir()
    (folder / "samples" / "link.png").symlink_to(studio.root / "studio.db")
    (folder / "samples" / "note.txt").write_text("x")
    outside = ["run.json", "samples/../run.json", "samples/note.txt", "samples/link.png", "../studio/studio.db",
               "samples/\0.png", "/etc/passwd", "samples", ""]  # fmt: skip
    for path in outside:
        with pytest.raises(NotFound):
            run_files.picture(studio, "mika", path)
    with pytest.raises(NotFound):
        run_files.grid(studio, "mika")
    with pytest.raises(Conflict):
        runs.sample_now(studio, "mika")
