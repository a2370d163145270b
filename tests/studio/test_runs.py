"""Runs from plan to bin, without a worker."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from likeness import events
from likeness.errors import Conflict, InputError, NotFound
from likeness.service import runs as service_runs
from likeness.store.tables import DatasetVersion, Run
from likeness.studio import datasets, plan_versions, preferences, queue, run_bin, runs
from likeness.studio.queue import Entry
from likeness.studio.workspace import Studio
from tests.studio.runs_at_hand import a_machine, began, frozen, mika, settings, start, step, told


@pytest.fixture(autouse=True)
def at_hand(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    a_machine(monkeypatch)
    return mika(studio, tmp_path)


# --- plans


def deep() -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for _ in range(5000):
        tree = {"a": tree}
    return tree


def test_a_plan_tells_what_the_run_would_be_and_starts_nothing(studio: Studio) -> None:
    planned = runs.plan(studio, settings())
    assert (planned.plan.images, planned.plan.held_out, planned.plan.epochs) == (10, 2, 3)
    assert planned.plan.steps == planned.cost.steps == 6  # 10 images, twice, in batches of 10, three times
    assert [use.name for use in planned.datasets] == ["mika"] and not planned.name_taken
    assert planned.cost.fits == "yes" and planned.cost.time.high is not None
    assert {s.field for s in planned.suggestions} >= {"data.datasets.0.repeats"}
    assert runs.listed(studio) == [] and queue.listed(studio) == []


def test_the_same_settings_in_any_order_are_the_same_plan(studio: Studio) -> None:
    one = runs.plan(studio, settings())
    backwards = dict(reversed(settings().items()))
    backwards["sampling"] = {"prompts": [{"prompt": p} for p in settings()["sampling"]["prompts"]], "width": None}
    two = runs.plan(studio, backwards)
    assert two.digest == one.digest and two.yaml == one.yaml and two.draft == one.draft


def test_whatever_decides_the_run_changes_the_digest(studio: Studio, at_hand: str) -> None:
    datasets.freeze(studio, at_hand)
    seen = {runs.plan(studio, settings()).digest}
    seen.add(runs.plan(studio, settings(optim={"learning_rate": 2e-3})).digest)
    seen.add(runs.plan(studio, settings(trigger="mika_char ")).digest)
    caption = next(datasets.files_of(studio, at_hand).glob("*.txt"))
    datasets.add_text(studio, at_hand, b"another caption of mika_char", "extra.txt")
    caption.write_text("mika_char, all new")
    seen.add(runs.plan(studio, settings()).digest)
    assert len(seen) == 4
    earlier = settings(data={"datasets": [{"path": "dataset:mika@1", "repeats": 2}]})
    assert runs.plan(studio, earlier).digest in seen, "version 1 is what was planned first"


def test_versions_that_no_run_came_of_are_dropped(studio: Studio, at_hand: str) -> None:
    def there() -> list[int]:
        found = [v.number for v in datasets.versions(studio, at_hand)]
        assert {p.name for p in (studio.datasets / at_hand / "versions").iterdir()} == {str(n) for n in found}
        return found

    def change(text: str) -> None:
        next(datasets.files_of(studio, at_hand).glob("*.txt")).write_text(f"mika_char, {text}")

    runs.plan(studio, settings())
    change("one")
    runs.plan(studio, settings())
    assert there() == [2]
    start(studio)
    change("two")
    runs.plan(studio, settings("later"))
    change("three")
    datasets.freeze(studio, at_hand, "mine")
    runs.plan(studio, settings("later"))
    assert there() == [4, 2], "the run's and the one that was asked for"
    row = {"data": {"datasets": [{"path": f"dataset:{name}"} for name in ("second", "mika")]}}
    second = datasets.create(studio, "second", "character").id
    for file in datasets.files_of(studio, at_hand).iterdir():
        shutil.copyfile(file, datasets.files_of(studio, second) / file.name)
    change("four")
    start(studio, settings("both", **row))
    with studio.database.session() as session:
        session.execute(update(DatasetVersion).values(note=plan_versions.NOTE))
    change("five")
    runs.plan(studio, settings("later"))
    assert there() == [6, 5, 2], "runs keep theirs, whatever is noted of them"


def test_problems_name_the_setting_and_the_fix(studio: Studio) -> None:
    wrong = settings(train={"epochs": 0, "epohcs": 3}, data={"datasets": ["dataset:mika"], "resolution": "big"})
    with pytest.raises(InputError) as found:
        runs.plan(studio, wrong)
    fields = [problem.partition(": ")[0] for problem in found.value.problems]
    assert fields == ["data.resolution", "train.epochs", "train.epohcs"]
    assert "did you mean" in found.value.problems[2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": {"datasets": ["dataset:nobody"]}}, r"^data\.datasets\.0\.path: no dataset 'nobody'"),
        ({"data": {"datasets": ["dataset:mika@9"]}}, r"^data\.datasets\.0\.path: .*version 9"),
        ({"data": {"datasets": ["photos"]}}, r"^data\.datasets\.0\.path: nothing is at 'photos'"),
        ({"lora": {"start_from": "run:nobody/1"}}, r"^lora\.start_from: no run 'nobody'"),
        ({"lora": {"start_from": "run:nobody"}}, r"^lora\.start_from: .*names no epoch"),
        ({"lora": {"start_from": "model:nobody"}}, r"^lora\.start_from: no model 'nobody'"),
        ({"sampling": {"prompts": [{"prompt": "a", "reference": "dataset:mika/../../x.png"}]}}, "has no picture"),
        ({"name": "studio"}, "'studio' is no name for a run"),
        ({"name": "a/b"}, r"^name: should be letters"),
        ({"hardware": {"device": "cuda:1"}}, r"^hardware\.device: 'cuda:1' cannot be chosen"),
        ({"data": {"datasets": []}}, r"^data\.datasets: should be a list with at least 1 entry"),
        ({"stages": [{"name": "a"}, {"name": "b"}]}, "several runs"),
        ({"description": "x", "base": 5}, r"^base: should be text"),
        ({"train": deep()}, r"^config: is nested too deep"),
    ],
)
def test_what_cannot_be_planned_is_told(studio: Studio, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        runs.plan(studio, settings() | changes)
    assert queue.listed(studio) == []


def test_pictures_are_sent_only_where_the_studio_allows(studio: Studio) -> None:
    crops = {
        "enabled": True,
        "enable_captioning": True,
        "caption_endpoint": "http://10.0.0.7:1234/v1",
        "caption_model": "x",
    }
    data = {"datasets": ["dataset:mika"], "detail_crops": crops}
    with pytest.raises(InputError, match=r"^data\.detail_crops\.caption_endpoint: .* is not among the servers"):
        runs.plan(studio, settings(data=data))
    preferences.change(studio, "captions", {"servers": ["http://10.0.0.7:1234/v1"]})
    assert runs.plan(studio, settings(data=data)).digest


def test_text_that_looks_like_something_else_stays_text(studio: Studio) -> None:
    odd = ["1e-4", "no", "null", "12:30", "true", "a: b", "# x", "*y", "- z", "mika_char\nat sea", "'", ""]
    planned = runs.plan(studio, settings(sampling={"prompts": odd, "max_prompts": 20}, description="2026-01-01"))
    assert [p.prompt for p in planned.prepared.config.sampling.prompts] == odd
    assert planned.prepared.config.description == "2026-01-01"


def test_source_pictures_may_be_those_of_a_dataset(studio: Studio, at_hand: str) -> None:
    name = next(datasets.files_of(studio, at_hand).glob("*.png")).name
    prompts = [{"prompt": "make it night", "reference": f"dataset:mika/{name}"}]
    planned = runs.plan(studio, settings(sampling={"prompts": prompts}))
    (reference,) = planned.prepared.config.sampling.prompts[0].reference
    assert Path(reference).is_file() and f"/{at_hand}/versions/1/" in reference


# --- started


def test_the_command_line_makes_the_same_run_of_the_plans_file(studio: Studio, tmp_path: Path) -> None:
    planned = runs.plan(studio, settings())
    runs.start(studio, settings(), planned.digest)
    file = tmp_path / "elsewhere" / "mika.yaml"
    file.parent.mkdir()
    file.write_text(planned.yaml)
    folder = service_runs.start(service_runs.prepare(file), tmp_path / "other")
    for name in ("run.json", "manifest.jsonl"):
        assert (folder / name).read_bytes() == (studio.run_folder("mika") / name).read_bytes()
    assert frozen(studio)["sources"]["train.epochs"].startswith("mika.yaml:")


def test_start_runs_what_was_planned_and_nothing_else(studio: Studio, at_hand: str) -> None:
    planned = runs.plan(studio, settings())
    with pytest.raises(Conflict, match="digest: settings, pictures or captions have changed"):
        runs.start(studio, settings(train={"epochs": 4}), planned.digest)
    next(datasets.files_of(studio, at_hand).glob("*.txt")).write_text("mika_char, changed")
    with pytest.raises(Conflict, match="digest"):
        runs.start(studio, settings(), planned.digest)
    assert not studio.run_folder("mika").exists() and queue.listed(studio) == []
    started = start(studio)
    assert (started.job.state, started.job.verb, started.job.subject) == ("queued", "train", "run:mika")
    with studio.database.reading() as session:
        row = session.get_one(Run, "mika")
    assert (row.dataset_id, row.dataset_version, row.plan_digest) == (at_hand, 2, started.planned.digest)


def test_a_name_is_taken_once(studio: Studio) -> None:
    start(studio)
    assert runs.plan(studio, settings()).name_taken
    with pytest.raises(Conflict, match=r"name: there is a run 'mika' already.*mika-2"):
        start(studio)


def test_of_two_that_start_at_once_one_has_the_name(studio: Studio) -> None:
    digest = runs.plan(studio, settings()).digest

    def go(_: int) -> bool:
        try:
            runs.start(studio, settings(), digest)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(go, range(4))) == 1
    assert len(queue.listed(studio)) == 1 and runs.summary_of(studio, "mika").state == "queued"


def test_a_start_that_was_killed_does_not_keep_the_name(studio: Studio) -> None:
    with studio.database.session() as session:
        session.add(Run(name="mika", created=1.0))
    start(studio)
    assert runs.summary_of(studio, "mika").created > 1e9


def test_a_full_queue_leaves_nothing_behind(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "MOST_WAITING", 0)
    with pytest.raises(Conflict, match="the queue is full"):
        start(studio)
    assert not studio.run_folder("mika").exists()
    monkeypatch.undo()
    a_machine(monkeypatch)
    start(studio)


# --- followed


def test_a_run_is_shown_as_it_goes(studio: Studio, at_hand: str) -> None:
    started = start(studio)
    folder = studio.run_folder("mika")
    assert runs.view(studio, "mika").waiting_before == 0
    queue.claim(studio, "cpu", light=False)
    now = 1000.0
    told(folder, events.Stage(name="encoding", done=3, total=10))
    found = runs.view(studio, "mika")
    assert found.summary.state == "running" and found.stage is not None and found.stage.done == 3
    told(folder, began(time=now), step(1, time=now + 2), step(2, time=now + 4), step(3, time=now + 6))
    found = runs.view(studio, "mika")
    assert found.stage is None and found.summary.step == 3 and found.eta_seconds == pytest.approx(27 * 2)
    assert [p.step for p in found.loss] == [1, 2, 3] and found.images_per_second == 20.0
    assert found.summary.progress == pytest.approx(0.5)  # three of the six steps that its plan has
    queue.change(studio, started.job.id, state="failed", error="no memory left", ended=1.0)
    found = runs.view(studio, "mika")
    assert (found.summary.state, found.summary.error, found.eta_seconds) == ("failed", "no memory left", None)
    assert found.dataset_id == at_hand


def test_steps_taken_again_count_once(studio: Studio) -> None:
    start(studio)
    folder = studio.run_folder("mika")
    told(folder, began(), *(step(n) for n in range(1, 8)), began(resumed_at=5), step(6, loss=9.0), step(7, loss=8.0))
    found = runs.view(studio, "mika")
    assert [p.step for p in found.loss] == list(range(1, 8)) and [p.loss for p in found.loss[-2:]] == [9.0, 8.0]


def test_a_long_curve_is_thinned(studio: Studio) -> None:
    start(studio)
    told(studio.run_folder("mika"), began(5000), *(step(n) for n in range(1, 5001)))
    points = runs.view(studio, "mika").loss
    assert len(points) <= 500 and points[0].step == 1 and points[-1].step > 4900


def test_only_pictures_and_files_that_are_there_are_told(studio: Studio) -> None:
    start(studio)
    folder = studio.run_folder("mika")
    path = "samples/epoch-001/prompt-1-seed-42.png"
    (folder / path).parent.mkdir(parents=True)
    (folder / path).write_bytes(b"x")
    sample = {"epoch": 1, "step": 2, "prompt": "a", "seed": 42}
    told(
        folder, began(), events.SampleSaved(prompt_index=1, path=path, **sample),
        events.SampleSaved(prompt_index=2, path="samples/gone.png", **sample),
        events.CheckpointSaved(epoch=1, step=2, path="checkpoints/epoch-001.safetensors"),
    )  # fmt: skip
    (epoch,) = runs.view(studio, "mika").epochs
    assert [s.path for s in epoch.samples] == [path] and epoch.checkpoint is None
    assert runs.listed(studio)[0].cover == path


def test_runs_of_the_command_line_are_listed_too(studio: Studio, tmp_path: Path) -> None:
    planned = runs.plan(studio, settings())
    folder = service_runs.start(service_runs.prepare(planned.draft), studio.workspace)
    assert [(r.name, r.state) for r in runs.listed(studio)] == [("mika", "stopped")]
    told(folder, began(), step(6), events.RunFinished(step=6, seconds=1.0))
    assert runs.listed(studio)[0].state == "finished"
    with pytest.raises(Conflict, match="has finished"):
        runs.resume(studio, "mika")


def test_damaged_and_foreign_folders_are_no_runs(studio: Studio) -> None:
    start(studio)
    (studio.workspace / "notes").mkdir()
    (studio.workspace / "broken").mkdir()
    (studio.workspace / "broken" / "run.json").write_text("{")
    assert [run.name for run in runs.listed(studio)] == ["mika"]
    for name in ("notes", "nobody", "studio", "..", ".hidden", "a/b"):
        with pytest.raises(NotFound):
            runs.view(studio, name)


# --- stopped and gone on with


def test_a_waiting_run_is_paused_and_goes_on(studio: Studio) -> None:
    start(studio)
    assert runs.stop(studio, "mika", "paused").state == "paused"
    assert runs.summary_of(studio, "mika").state == "paused"
    assert runs.resume(studio, "mika").state == "queued"
    with pytest.raises(Conflict, match="is queued already"):
        runs.resume(studio, "mika")
    assert runs.stop(studio, "mika").state == "canceled"
    with pytest.raises(Conflict, match="is not being trained"):
        runs.stop(studio, "mika")
    assert len(queue.listed(studio)) == 1, "it is the same job all along"
    runs.resume(studio, "mika")


def test_only_a_finished_run_becomes_longer(studio: Studio) -> None:
    job = start(studio, settings(optim={"schedule": "cosine"})).job
    with pytest.raises(Conflict, match=r"has not finished \(queued\)"):
        runs.extend(studio, "mika", 5)
    told(studio.run_folder("mika"), began(), step(6), events.RunFinished(step=6, seconds=1.0))
    queue.change(studio, job.id, state="finished")
    with pytest.raises(Conflict, match=r"train\.epochs: cannot change while the 'cosine' schedule depends on it"):
        runs.extend(studio, "mika", 5)
    assert frozen(studio)["config"]["train"]["epochs"] == 3


def test_a_run_that_was_never_queued_can_be(studio: Studio) -> None:
    service_runs.start(service_runs.prepare(runs.plan(studio, settings()).draft), studio.workspace)
    assert runs.resume(studio, "mika").state == "queued"


def test_pictures_can_be_asked_for_while_it_trains(studio: Studio) -> None:
    start(studio)
    with pytest.raises(Conflict, match="is not being trained"):
        runs.sample_now(studio, "mika")
    queue.claim(studio, "cpu", light=False)
    runs.sample_now(studio, "mika")
    assert (studio.run_folder("mika") / events.SAMPLE_NOW).exists()
    bare = settings("bare", sampling={})
    start(studio, bare)
    queue.claim(studio, "cuda:0", light=False)
    with pytest.raises(Conflict, match="has no test prompts"):
        runs.sample_now(studio, "bare")


# --- after


def with_epochs(studio: Studio, *epochs: int, name: str = "mika") -> Path:
    """The run, as if these epochs had been trained."""
    folder = studio.run_folder(name)
    for epoch in epochs:
        path = folder / "checkpoints" / f"epoch-{epoch:03d}.safetensors"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"a lora")
        told(folder, events.CheckpointSaved(epoch=epoch, step=epoch * 2, path=str(path.relative_to(folder))))
    return folder


def test_an_epoch_is_chosen(studio: Studio) -> None:
    start(studio)
    with_epochs(studio, 1, 2)
    runs.choose(studio, "mika", 2)
    assert runs.summary_of(studio, "mika").chosen_epoch == 2
    with pytest.raises(NotFound, match=r"no LoRA of epoch 3.*choose from: 1, 2"):
        runs.choose(studio, "mika", 3)
    runs.choose(studio, "mika", None)
    runs.note(studio, "mika", "the best so far")
    runs.archive(studio, "mika")
    assert runs.listed(studio) == []
    (archived,) = runs.listed(studio, archived=True)
    assert archived.chosen_epoch is None and archived.note == "the best so far"


def test_retrained_with_the_same_settings(studio: Studio) -> None:
    written = settings(optim={"learning_rate": 2e-3}, lora={"rank": 8, "modules": [{"match": ".*to_q", "rank": 4}]})
    start(studio, written)
    config = runs.retrain(studio, "mika")
    assert config == written | {
        "name": "mika-2", "sampling": {"prompts": [{"prompt": p} for p in written["sampling"]["prompts"]]},
    }  # fmt: skip
    again = start(studio, config, parent_run="mika")
    then, now = frozen(studio)["config"], frozen(studio, "mika-2")["config"]
    assert then | {"name": "mika-2"} == now
    assert runs.summary_of(studio, again.name).parent_run == "mika"
    assert runs.retrain(studio, "mika-2")["name"] == "mika-3"


def test_retrained_from_an_epoch(studio: Studio) -> None:
    start(studio)
    folder = with_epochs(studio, 2)
    config = runs.retrain(studio, "mika", 2)
    assert config["lora"] == {"start_from": "run:mika/2"}
    start(studio, config)
    found = runs.summary_of(studio, "mika-2")
    assert (found.parent_run, found.parent_epoch) == ("mika", 2)
    assert frozen(studio, "mika-2")["config"]["lora"]["start_from"] == str(folder / "checkpoints/epoch-002.safetensors")
    with pytest.raises(NotFound, match="no LoRA of epoch 1"):
        runs.retrain(studio, "mika", 1)


def test_source_pictures_keep_their_names_in_the_next_run(studio: Studio, at_hand: str) -> None:
    name = next(datasets.files_of(studio, at_hand).glob("*.png")).name
    prompts = [{"prompt": "make it night", "reference": [f"dataset:mika/{name}"]}]
    start(studio, settings(sampling={"prompts": prompts}))
    assert runs.retrain(studio, "mika")["sampling"]["prompts"] == prompts


# --- the bin


def test_a_deleted_run_comes_back_as_it_was(studio: Studio) -> None:
    start(studio)
    with_epochs(studio, 1)
    runs.choose(studio, "mika", 1)
    gone = run_bin.delete(studio, "mika")
    assert runs.listed(studio) == [] and gone.size_bytes > 0
    assert [d.id for d in run_bin.listed(studio)] == [gone.id]
    assert queue.listed(studio)[0].state == "canceled", "it does not wait any more"
    assert run_bin.restore(studio, gone.id) == "mika"
    found = runs.summary_of(studio, "mika")
    assert (found.chosen_epoch, found.epochs_saved) == (1, 1) and run_bin.listed(studio) == []


def test_the_name_of_a_deleted_run_is_free(studio: Studio) -> None:
    start(studio)
    gone = run_bin.delete(studio, "mika")
    start(studio)
    with pytest.raises(Conflict, match="another run 'mika' by now"):
        run_bin.restore(studio, gone.id)
    run_bin.delete(studio, "mika")
    run_bin.restore(studio, gone.id)
    assert runs.summary_of(studio, "mika").state == "canceled"
    for left in run_bin.listed(studio):
        run_bin.erase(studio, left.id)
    assert run_bin.listed(studio) == []
    with pytest.raises(NotFound):
        run_bin.restore(studio, gone.id)


def test_the_bin_is_emptied_of_what_is_old(studio: Studio) -> None:
    start(studio)
    run_bin.delete(studio, "mika")
    assert run_bin.empty(studio, 1000.0) == 0 and run_bin.empty(studio, -1.0) == 1
    assert run_bin.listed(studio) == [] and not list((studio.root / "bin").glob("*/run"))


def test_a_run_that_trains_is_not_deleted(studio: Studio) -> None:
    start(studio)
    queue.claim(studio, "cpu", light=False)
    with pytest.raises(Conflict, match="is being trained"):
        run_bin.delete(studio, "mika")
    assert runs.summary_of(studio, "mika").state == "running"


def test_a_run_called_as_the_bins_own_files(studio: Studio) -> None:
    start(studio, settings("row.json"))
    gone = run_bin.delete(studio, "row.json")
    assert run_bin.restore(studio, gone.id) == "row.json"


def test_jobs_of_other_kinds_do_not_hide_the_training(studio: Studio) -> None:
    job = start(studio).job
    queue._add(studio, "other", "draw", studio.jobs / "other", Entry("Draw", "run:mika"))  # pyright: ignore[reportPrivateUsage]
    assert runs.summary_of(studio, "mika").job == job.id


def test_a_copied_run_without_its_manifest_is_still_shown(studio: Studio) -> None:
    start(studio)
    copy = studio.workspace / "copy"
    shutil.copytree(studio.run_folder("mika"), copy)
    (copy / "manifest.jsonl").unlink()
    content = json.loads((copy / "run.json").read_text())
    del content["plan"]
    (copy / "run.json").write_text(json.dumps(content))
    assert runs.view(studio, "copy").summary.steps == 0
