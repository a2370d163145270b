"""Several datasets of a run, each for its own purpose, from the settings file to the manifest."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.dataset.manifest import Example
from likeness.errors import InputError
from likeness.service import runs
from likeness.service.runs import Prepared
from tests.tiny_run import write_config, write_pictures

DATASETS = """\
data:
  resolution: 32
  datasets:
    - {path: own, repeats: 2}
    - {path: 3_mia, loss_weight: 2, trigger: mia, masks: m}
    - {path: others.zip, type: regularisation, repeats: 1, loss_weight: 0.5, caption: a woman}
    - {path: kept, type: validation}
"""


@pytest.fixture
def prepare(tiny_base: Path, tmp_path: Path) -> Callable[..., Prepared]:
    def preparing(datasets: str = DATASETS, *overrides: str) -> Prepared:
        config = write_config(tmp_path / "tiny.yaml", tiny_base, tmp_path / "own")
        before, after = config.read_text().split("data:\n")
        config.write_text(before + datasets + "train" + after.split("\ntrain")[1])
        return runs.prepare(config, list(overrides))

    return preparing


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "own", 9)
    write_pictures(tmp_path / "3_mia", 1, size=(50, 30))
    (tmp_path / "3_mia/0.txt").unlink()
    write_pictures(tmp_path / "m", 1, size=(50, 30))
    write_pictures(tmp_path / "kept", 2, size=(60, 30))
    write_pictures(tmp_path / "other", 2, size=(44, 44))
    with zipfile.ZipFile(tmp_path / "others.zip", "w") as archive:
        for file in (tmp_path / "other").glob("*.png"):
            archive.write(file, f"women/{file.name}")
    return tmp_path


def facts(e: Example) -> tuple[object, ...]:
    return (e.dataset, e.type, e.repeats, e.loss_weight, e.trigger, e.held_out, e.mask is not None)


def test_each_dataset_has_its_purpose(folders: Path, prepare: Callable[..., Prepared], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folders / "cache"))
    before = [p.name for p in folders.iterdir()]
    prepared = prepare()
    assert {facts(e) for e in prepared.examples} == {
        (0, "train", 2, 1.0, "tiny_char", False, False),
        (1, "train", 3, 2.0, "mia", False, True),
        (2, "regularisation", 1, 0.5, "", False, False),
        (3, "validation", 20, 1.0, "tiny_char", True, False),
    }
    captions = {e.dataset: e.caption for e in prepared.examples}
    assert captions[1] == "mia" and captions[2] == "a woman"  # no caption: the class of the folder, or the setting's
    assert (prepared.plan.images, prepared.plan.held_out, prepared.plan.examples_per_epoch) == (12, 2, 9 * 2 + 3 + 2)
    kept = folders / "cache" / "likeness"
    assert (kept / "index.sqlite").is_file() and len(list((kept / "archives").iterdir())) == 1
    assert {p.relative_to(folders).parts[0] for p in folders.rglob("*") if p.is_file()} == {
        *before,
        "tiny.yaml",
        "cache",
    }


def test_held_out_pictures_are_drawn_where_asked(folders: Path, prepare: Callable[..., Prepared]):
    held = [e for e in prepare(DATASETS, "data.hold_out=3").examples if e.held_out]
    assert sorted(e.type for e in held) == ["train"] * 3 + ["validation"] * 2


def test_a_run_needs_something_to_train_on(folders: Path, prepare: Callable[..., Prepared]):
    with pytest.raises(InputError, match="nothing to train on"):
        prepare("data:\n  datasets: [{path: kept, type: validation}]\n")


def test_problems_name_the_line_of_their_dataset(folders: Path, prepare: Callable[..., Prepared]):
    (folders / "own/3.png").write_bytes(b"junk")
    (folders / "others.zip").write_bytes(b"junk")
    with pytest.raises(InputError) as caught:
        prepare()
    own, others = sorted(caught.value.problems)
    assert "data.datasets.0.path: " in own and "3.png" in own
    assert "data.datasets.2.path: " in others and "others.zip: is damaged" in others
    lines = (folders / "tiny.yaml").read_text().splitlines()
    for problem, name in ((own, "path: own"), (others, "path: others.zip")):
        assert name in lines[int(problem.split(":")[1]) - 1]


def test_of_very_many_problems_some_are_told_and_the_rest_counted(
    folders: Path, prepare: Callable[..., Prepared], tmp_path: Path
):
    folder = write_pictures(tmp_path / "many", 3)
    for number in range(50):
        (folder / f"broken-{number}.png").write_bytes(b"no picture")
    with pytest.raises(InputError) as refused:
        prepare("data:\n  datasets: [many]\n")
    assert len(refused.value.problems) == 21
    assert "30 more problems of this kind (unreadable)" in refused.value.problems[-1]


def test_more_sources_than_the_base_takes_are_told(folders: Path, prepare: Callable[..., Prepared]):
    names = [f"own/{n}.png" for n in range(9)]
    rows = {"image": names[0], "control": names[1:], "text": "join"}
    (folders / "list.jsonl").write_text(json.dumps(rows))
    with pytest.raises(InputError, match="has 8 source pictures, and base"):
        prepare("data:\n  datasets: [list.jsonl]\n", "kind=edit", "sampling.prompts=[]")
