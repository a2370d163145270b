"""Reading a run back from its folder."""

import json
import math

import pytest
from conftest import PROMPTS, SEED, RunWriter, step_done

from likeness.errors import InputError
from likeness.events import RunStarted, RunStopped, SampleSaved, UpdateSkipped
from likeness.report.history import LossPoint, ProbePoint, Prompt, read_history


def test_a_finished_run(finished_run: RunWriter):
    history = read_history(finished_run.folder)
    assert history.name == "maya"
    assert history.epochs == [0, 1, 2, 3, 4, 5, 6]
    assert history.prompts == [Prompt(i, text, SEED, None) for i, text in enumerate(PROMPTS, start=1)]
    assert history.samples[3, 2] == finished_run.folder / "samples/epoch-003/prompt-2-seed-42.png"
    assert list(history.checkpoints) == [1, 2, 3, 4, 5, 6]
    assert len(history.losses) == 60 and history.losses[11] == LossPoint(12, 2, 1 / 13)
    assert history.probes[6] == ProbePoint(6, 60, pytest.approx(0.4), pytest.approx(0.7))
    assert history.status == ("finished", "finished: 60 steps in 2 min 5 s")
    assert history.config("optim.learning_rate") == 0.0001
    assert history.config("optim.learning_rate.nothing") is None


def test_after_a_resume_the_last_value_of_a_step_counts(new_run):
    run = new_run("maya")
    run.run_json([])
    run.write(*(step_done(step, 1, 9.0) for step in range(1, 8)))
    run.write(RunStopped(step=4, why="interrupted", message="go on with --resume"))
    assert read_history(run.folder).status == ("interrupted", "interrupted at step 4: go on with --resume")

    run.write(RunStarted(name="maya", steps=9, epochs=1, images=1, device="cpu", precision="fp32", resumed_at=4))
    run.write(*(step_done(step, 1, float(step)) for step in range(5, 10)))
    history = read_history(run.folder)
    assert [(p.step, p.loss) for p in history.losses] == [(s, 9.0) for s in range(1, 5)] + [
        (s, float(s)) for s in range(5, 10)
    ]
    assert history.status == ("unfinished", "unfinished: step 9 of 9")


def test_only_files_that_exist_count(finished_run: RunWriter):
    (finished_run.folder / "samples/epoch-002/prompt-1-seed-42.png").unlink()
    (finished_run.folder / "checkpoints/epoch-004.safetensors").unlink()
    history = read_history(finished_run.folder)
    assert (2, 1) not in history.samples and (2, 2) in history.samples
    assert 2 in history.epochs and 4 not in history.checkpoints


def test_files_count_without_events(finished_run: RunWriter):
    (finished_run.folder / "events.jsonl").unlink()
    history = read_history(finished_run.folder)
    assert len(history.samples) == 21 and len(history.checkpoints) == 6
    assert history.prompts == [Prompt(i, text, SEED, None) for i, text in enumerate(PROMPTS, start=1)]
    assert history.losses == [] and history.status.word == "unfinished"


def test_an_event_cannot_name_a_file_outside_the_run(finished_run: RunWriter):
    (finished_run.folder.parent / "secret.png").write_bytes(b"x")
    finished_run.write(SampleSaved(epoch=1, step=1, prompt_index=9, prompt="p", seed=1, path="../secret.png"))
    assert (1, 9) not in read_history(finished_run.folder).samples


def test_losses_that_are_not_finite_are_left_out_and_skipped_updates_counted(new_run):
    run = new_run("maya")
    run.run_json([])
    run.write(step_done(1, 1, 0.5), step_done(2, 1, math.nan), UpdateSkipped(step=2, reason="loss is not finite"))
    history = read_history(run.folder)
    assert [p.step for p in history.losses] == [1]
    assert history.skipped_updates == 1


def test_smoothing_starts_at_the_first_loss_and_keeps_a_constant(new_run):
    run = new_run("maya")
    run.run_json([])
    run.write(*(step_done(step, 1, 0.7) for step in range(1, 50)), step_done(50, 1, 1.7))
    smoothed = [p.loss for p in read_history(run.folder).smoothed]
    assert smoothed[:49] == pytest.approx([0.7] * 49)
    assert 0.7 < smoothed[49] < 0.8


def test_an_edit_knows_its_source_image(edit_run: RunWriter):
    history = read_history(edit_run.folder)
    assert [p.reference for p in history.prompts] == [edit_run.folder / "sources/1.png", None]


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_broken_run_json_is_refused(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputError, match=r"run\.json: (not valid JSON|expected a JSON object)"):
        read_history(tmp_path)


def test_a_folder_that_is_no_run_is_refused_with_what_was_expected(tmp_path):
    with pytest.raises(InputError, match=r"run\.json is missing; give the folder of a run"):
        read_history(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        read_history(tmp_path / "nowhere")


def test_a_broken_manifest_line_is_named(finished_run: RunWriter):
    with (finished_run.folder / "manifest.jsonl").open("a") as f:
        f.write(json.dumps({"id": "x"}) + "\n{oops\n")
    with pytest.raises(InputError, match=r"manifest\.jsonl:10: not valid JSON"):
        read_history(finished_run.folder)
