import fcntl
import json
from pathlib import Path

from likeness.events import CheckpointSaved, EventLog, RunFinished
from likeness.service.run_list import family_tree, runs_in, summary_of


def make_run(folder: Path, parent: tuple[str, int] | None = None) -> Path:
    (folder / "checkpoints").mkdir(parents=True)
    config = {"name": folder.name, "kind": "style", "base": "starter", "trigger": "x", "train": {"epochs": 3}}
    told = {"run": parent[0], "epoch": parent[1], "path": "p", "sha256": "0"} if parent else None
    (folder / "run.json").write_text(json.dumps({"name": folder.name, "config": config, "parent": told}))
    (folder / "manifest.jsonl").write_text("")
    (folder / "checkpoints/epoch-001.safetensors").write_bytes(b"")
    log = EventLog(folder / "events.jsonl")
    log.write(CheckpointSaved(epoch=1, step=4, path="checkpoints/epoch-001.safetensors"))
    log.write(RunFinished(step=4, seconds=1))
    return folder


def test_a_run_in_few_words(tmp_path: Path) -> None:
    told = summary_of(make_run(tmp_path / "one", ("zero", 2)))
    assert (told.name, told.kind, told.epochs, told.planned_epochs) == ("one", "style", 1, 3)
    assert told.parent == ("zero", 2) and told.state == "finished" and told.suggested is None


def test_a_held_run_is_training(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "one")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert summary_of(folder).state == "training"
    assert summary_of(folder).state == "finished"


def test_what_is_no_run_is_left_out(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/run.json").write_text("{")
    assert [run.name for run in runs_in(tmp_path)] == ["one"]


def test_runs_stand_below_their_parents(tmp_path: Path) -> None:
    for name, parent in (("a", None), ("b", ("a", 1)), ("c", ("b", 1)), ("d", ("gone", 1)), ("e", ("e", 1))):
        make_run(tmp_path / name, parent)
    roots = {branch.run.name: branch for branch in family_tree(runs_in(tmp_path))}
    assert set(roots) == {"a", "d", "e"}, "a parent elsewhere, or none but itself, makes a root"
    assert [b.run.name for b in roots["a"].children] == ["b"]
    assert [b.run.name for b in roots["a"].children[0].children] == ["c"]
