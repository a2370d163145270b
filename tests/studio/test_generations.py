import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from likeness.errors import InputError, NotFound
from likeness.store.tables import Job, Model
from likeness.studio import gallery, generations, lora_choice, models, queue, reference_pictures
from likeness.studio.generations import Generation, GenerationRequest
from likeness.studio.lora_choice import LoraChoice
from likeness.studio.models import Words
from likeness.studio.workspace import Studio
from tests.tiny_lora import own_metadata, write_lora, write_picture, write_run

PROMPT = "mika_char on a hill"


@pytest.fixture
def mika(studio: Studio) -> Model:
    write_run(studio.workspace)
    return models.publish(studio, "mika", 2, strength=0.8)


def asked(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(job.folder) / "job.json").read_text())
    return found


def draw(studio: Studio, job: Job, *numbers: int) -> None:
    """What a worker does: some of the pictures, or all."""
    for number, output in enumerate(asked(job)["outputs"], start=1):
        if not numbers or number in numbers:
            write_picture(Path(output), (number, 0, 0))


def order(studio: Studio, *loras: LoraChoice, **values: Any) -> Generation:
    return generations.generate(studio, GenerationRequest(**{"prompt": PROMPT, "loras": loras, **values}))


def test_a_request_becomes_a_job(studio: Studio, mika: Model) -> None:
    found = order(studio, LoraChoice(mika.id), LoraChoice("run:mika/3", 0.5), seed=7, batch=2, steps=9)
    content = asked(found.job)
    assert content["base"] == "starter" and found.total == 2 and found.warnings == []
    assert content["loras"] == [
        {"path": str(models.lora_path(studio, mika)), "strength": 0.8},
        {"path": str(studio.workspace / "mika/checkpoints/epoch-003.safetensors"), "strength": 0.5},
    ]
    assert [(r["seed"], r["steps"], r["width"]) for r in content["requests"]] == [(7, 9, 128), (8, 9, 128)]
    assert content["go_on"] and all(Path(p).parent == studio.pictures / found.job.id for p in content["outputs"])
    assert not found.job.light and found.job.verb == "sample"


def test_without_a_seed_any_is_taken_and_kept(studio: Studio, mika: Model) -> None:
    one, two = (order(studio, LoraChoice(mika.id)) for _ in range(2))
    seeds = [asked(g.job)["requests"][0]["seed"] for g in (one, two)]
    assert seeds[0] != seeds[1] and one.request["seed"] == seeds[0]
    again = generations.generate(studio, generations.request_of(studio, one.job.id))
    assert asked(again.job)["requests"] == asked(one.job)["requests"]


def test_strengths_are_compared_at_the_same_seeds(studio: Studio, mika: Model) -> None:
    found = order(studio, LoraChoice(mika.id), LoraChoice("run:mika/1", 0.3), seeds=(1, 2), strengths=(0.5, 1.0))
    content = asked(found.job)
    assert [r["seed"] for r in content["requests"]] == [1, 1, 2, 2]
    assert content["strengths"] == [[0.5, 0.3], [1.0, 0.3], [0.5, 0.3], [1.0, 0.3]]
    draw(studio, found.job)
    rows = generations.collect(studio, found.job)
    assert [[use["strength"] for use in row.settings["loras"]] for row in rows] == content["strengths"]


@pytest.mark.parametrize(
    ("text", "strength", "name"),
    [
        ("run:mika/1", 1.0, "mika epoch 1"),
        ("run:mika:3", 1.0, "mika epoch 3"),
        ("run:mika/epoch-003", 1.0, "mika epoch 3"),
        ("model:mika", 0.8, "mika"),
    ],
)
def test_loras_are_named_in_several_ways(studio: Studio, mika: Model, text: str, strength: float, name: str) -> None:
    (found,) = lora_choice.choose(studio, [LoraChoice(text)])
    assert (found.strength, found.name, found.base, found.triggers) == (strength, name, "starter", ("mika_char",))


def test_another_epoch_of_a_models_run(studio: Studio, mika: Model, tmp_path: Path) -> None:
    assert lora_choice.choose(studio, [LoraChoice(mika.id, 1, 3)])[0].lora == "run:mika/3"
    assert lora_choice.choose(studio, [LoraChoice("run:mika", 1, 3)])[0].lora == "run:mika/3"
    assert lora_choice.choose(studio, [LoraChoice(mika.id, 1, 2)])[0].lora == f"model:{mika.id}"
    alone = models.import_lora(studio, write_lora(tmp_path / "a.safetensors", 99), "a.safetensors")
    with pytest.raises(InputError, match="has one file only"):
        lora_choice.choose(studio, [LoraChoice(alone.id, 1, 4)])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nobody", "no model 'nobody'"),
        ("run:mika", "names no epoch"),
        ("run:mika/9", "no LoRA file of epoch 9. Fix: choose from: 1, 2, 3"),
        ("run:../../etc/1", "no run '../../etc'"),
        ("run:nobody/1", "no run 'nobody'"),
    ],
)
def test_loras_that_are_not_there(studio: Studio, mika: Model, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        order(studio, LoraChoice(text))
    assert queue.listed(studio) == []


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"prompt": "  "}, "prompt"),
        ({"prompt": "x" * 10_001}, "prompt"),
        ({"seed": -1}, "seed"),
        ({"seeds": (2**32,)}, "seeds"),
        ({"batch": 0}, "batch"),
        ({"batch": 101}, "batch"),
        ({"batch": 60, "strengths": (0.5, 1.0)}, "batch"),
        ({"width": 8193}, "width"),
        ({"width": 33}, "width"),
        ({"height": 2}, "height"),
        ({"steps": 0}, "steps"),
        ({"guidance": -1.0}, "guidance"),
        ({"guidance": float("nan")}, "guidance"),
        ({"strengths": (9.0,)}, "strengths"),
        ({"strengths": (float("nan"),)}, "strengths"),
        ({"strengths": (0.5,), "loras": ()}, "strengths"),
        ({"loras": (LoraChoice("run:mika/1", 9.0),)}, "loras"),
        ({"loras": (LoraChoice("run:mika/1"),) * 9}, "loras"),
        ({"references": ("upload:x",), "base": "starter"}, "references"),
        ({"references": ("/etc/passwd",)}, "references"),
        ({"base": "starterr"}, "base"),
        ({"base": "flux1-dev"}, "base"),
        ({"loras": ()}, "base"),
        ({"precision": "int1"}, "precision"),
    ],
)
def test_what_cannot_be_drawn_is_refused(studio: Studio, mika: Model, values: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=rf"^{field}\b") as caught:
        order(studio, **{"loras": (LoraChoice(mika.id),), **values})
    assert "--" not in str(caught.value)
    assert queue.listed(studio) == [] and not (studio.jobs.exists() and list(studio.jobs.iterdir()))


def test_a_prompt_without_the_trigger_is_told_and_helped(studio: Studio, mika: Model) -> None:
    checked = generations.check(studio, GenerationRequest("a hill", (LoraChoice(mika.id),)))
    assert checked.warnings == ["The prompt does not hold 'mika_char', which calls up 'mika'."]
    assert checked.triggers.prompt == "mika_char, a hill"
    for prompt, strength in ((PROMPT, 1.0), ("a hill", 0.0)):
        checked = generations.check(studio, GenerationRequest(prompt, (LoraChoice(mika.id, strength),)))
        assert checked.warnings == []


def test_a_merged_model_has_a_trigger_of_each(studio: Studio, mika: Model) -> None:
    models.change(studio, mika.id, lambda m: setattr(m, "trigger", "ada_char, mika_char"))
    models.change(studio, mika.id, lambda m: setattr(m, "card", {**m.card, "made": {"by": "merge"}}))
    found = generations.check(studio, GenerationRequest(PROMPT, (LoraChoice(mika.id),)))
    assert found.triggers.prompt == f"ada_char, {PROMPT}"


def test_another_base_is_doubted_another_family_refused(studio: Studio, mika: Model, tmp_path: Path) -> None:
    checked = generations.check(studio, GenerationRequest(PROMPT, (LoraChoice(mika.id),), base="flux2-klein-base-4b"))
    assert "was trained on starter" in checked.warnings[0]
    other = models.import_lora(studio, write_lora(tmp_path / "a.safetensors", 9, own_metadata(base="flux1-dev")),
                               "a.safetensors")  # fmt: skip
    with pytest.raises(InputError, match=r"^base: 'mika' is a LoRA for family flux1"):
        generations.check(studio, GenerationRequest(PROMPT, (LoraChoice(mika.id), LoraChoice(other.id))))


# --- pictures


def test_pictures_appear_as_they_are_drawn_and_once(studio: Studio, mika: Model) -> None:
    job = order(studio, LoraChoice(mika.id), seed=5, batch=3).job
    assert generations.get(studio, job.id).pictures == []
    draw(studio, job, 1)
    assert [p.id for p in generations.get(studio, job.id).pictures] == [f"{job.id}-001"]
    draw(studio, job)
    assert generations.take(studio, job, {}) == {"picture_ids": [f"{job.id}-{n:03d}" for n in (1, 2, 3)]}
    assert generations.take(studio, job, {}) == {"picture_ids": [f"{job.id}-{n:03d}" for n in (1, 2, 3)]}
    assert gallery.listed(studio)[1] == 3
    row = gallery.get(studio, f"{job.id}-002")
    assert row.settings["seed"] == 6 and row.prompt == PROMPT and row.base == "starter"
    assert gallery.path_of(studio, row).is_file()


def test_small_copies_are_made_when_a_picture_is_seen_first(studio: Studio, mika: Model) -> None:
    before = len(list(studio.thumbnails.rglob("*.webp")))
    assert before, "those of the model's examples"
    job = order(studio, LoraChoice(mika.id), batch=2).job
    draw(studio, job)
    generations.collect(studio, job)
    assert len(list(studio.thumbnails.rglob("*.webp"))) == before + 4


def test_a_sample_of_somebody_else_is_left_alone(studio: Studio, mika: Model) -> None:
    job = order(studio, LoraChoice(mika.id)).job
    job.subject = "run:mika"
    assert generations.take(studio, job, {}) is None


def test_pictures_of_a_job_that_failed_are_kept(studio: Studio, mika: Model) -> None:
    job = order(studio, LoraChoice(mika.id), batch=2).job
    draw(studio, job, 1)
    queue.change(studio, job.id, state="failed", error="killed")
    (found,), total = generations.history(studio)
    assert total == 1 and [p.id for p in found.pictures] == [f"{job.id}-001"] and found.total == 2


def test_every_setting_of_a_picture_can_be_used_again(studio: Studio, mika: Model, tmp_path: Path) -> None:
    job = order(
        studio, LoraChoice(mika.id, 0.6), negative_prompt="rain", seeds=(4, 9), width=64, height=96, steps=3,
        guidance=1.5, precision="fp32",
    ).job  # fmt: skip
    draw(studio, job)
    row = generations.collect(studio, job)[1]
    request = generations.request_for(row)
    assert request == GenerationRequest(
        prompt=PROMPT, loras=(LoraChoice(f"model:{mika.id}", 0.6),), base="starter", negative_prompt="rain", seed=9,
        width=64, height=96, steps=3, guidance=1.5, precision="fp32",
    )  # fmt: skip
    again = generations.generate(studio, request)
    assert asked(again.job)["requests"] == [asked(job)["requests"][1]]


def test_later_changes_of_a_model_do_not_change_what_was_asked(studio: Studio, mika: Model) -> None:
    job = order(studio, LoraChoice(mika.id)).job
    models.update(studio, mika.id, Words(strength=0.1))
    assert generations.request_of(studio, job.id).loras[0].strength == 0.8


def test_the_history_is_newest_first_and_by_pages(studio: Studio, mika: Model) -> None:
    jobs = [order(studio, LoraChoice(mika.id), prompt=f"mika_char {n}").job for n in range(3)]
    for job in jobs:
        draw(studio, job)
        generations.take(studio, job, {})
    first, total = generations.history(studio, 2)
    second, _ = generations.history(studio, 2, 2)
    assert [g.job.id for g in first + second] == [j.id for j in reversed(jobs)] and total == 3
    assert all(len(g.pictures) == 1 for g in first)


def test_a_generation_is_deleted_and_put_back_whole(studio: Studio, mika: Model) -> None:
    job = order(studio, LoraChoice(mika.id), batch=3).job
    draw(studio, job)
    generations.collect(studio, job)
    gallery.delete(studio, f"{job.id}-001")
    generations.delete(studio, job.id)
    assert queue.get(studio, job.id).state == "canceled" and generations.history(studio) == ([], 0)
    assert gallery.listed(studio) == ([], 0)
    with pytest.raises(NotFound):
        generations.get(studio, job.id)
    found = generations.restore(studio, job.id)
    assert [p.id for p in found.pictures] == [f"{job.id}-002", f"{job.id}-003"], "what was deleted before stays so"
    with pytest.raises(NotFound):
        generations.restore(studio, job.id)


def test_single_pictures_are_found_pinned_and_deleted(studio: Studio, mika: Model) -> None:
    for prompt, lora in (("a 100% blue hill", mika.id), ("a red hill", "run:mika/1")):
        job = order(studio, LoraChoice(lora), prompt=prompt).job
        draw(studio, job)
        generations.collect(studio, job)

    def prompts(**values: Any) -> list[str]:
        return sorted(p.prompt for p in gallery.listed(studio, **values)[0])

    assert (
        prompts(search="HILL blue") == prompts(search="%") == prompts(lora=f"model:{mika.id}") == ["a 100% blue hill"]
    )
    assert prompts(lora="run:mika/1") == ["a red hill"] and len(prompts(search="hill")) == 2
    row = gallery.listed(studio, search="red")[0][0]
    gallery.pin(studio, row.id)
    assert prompts(pinned=True) == ["a red hill"] and prompts(pinned=False) == ["a 100% blue hill"]
    gallery.delete(studio, row.id)
    assert prompts() == ["a 100% blue hill"]
    gallery.restore(studio, row.id)
    assert len(prompts()) == 2


def test_what_left_the_bin_does_not_come_back(studio: Studio, mika: Model) -> None:
    job = order(studio, LoraChoice(mika.id)).job
    draw(studio, job)
    (row,) = generations.collect(studio, job)
    gallery.delete(studio, row.id)
    assert gallery.empty_bin(studio, 3600) == 0 and gallery.empty_bin(studio, -1) == 1
    assert not (studio.pictures / row.file).exists()
    draw(studio, job)  # as if the file were there again
    assert generations.collect(studio, job) == []
    (studio.pictures / row.file).unlink()
    with pytest.raises(NotFound, match="is not there any more"):
        gallery.restore(studio, row.id)


# --- source pictures


def test_source_pictures_are_kept_by_content(studio: Studio, tmp_path: Path) -> None:
    source = write_picture(tmp_path / "a.png")
    one, two = (reference_pictures.keep(studio, source, name) for name in ("a.PNG", "b.png"))
    assert one == two and reference_pictures.path_of(studio, one).read_bytes() == source.read_bytes()
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"^file: .*Fix") as caught:
        reference_pictures.keep(studio, tmp_path / "b.png", "b.png")
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(InputError, match="is no picture"):
        reference_pictures.keep(studio, source, "a.exe")


def test_pictures_that_are_here_are_sources_too(studio: Studio, mika: Model) -> None:
    job = order(studio, LoraChoice(mika.id)).job
    draw(studio, job)
    (row,) = generations.collect(studio, job)
    example = mika.examples[0]
    for text in (f"picture:{row.id}", f"example:{mika.id}/{example['id']}"):
        assert reference_pictures.path_of(studio, text).is_file()
    gallery.delete(studio, row.id)
    for text in (f"picture:{row.id}", "picture:none", f"example:{mika.id}/none", "upload:../studio.db", "upload:x.png"):
        with pytest.raises(NotFound):
            reference_pictures.path_of(studio, text)


def test_an_edit_is_ordered_with_its_sources(studio: Studio, mika: Model, tmp_path: Path) -> None:
    reference = reference_pictures.keep(studio, write_picture(tmp_path / "a.png", side=128), "a.png")
    found = order(studio, LoraChoice(mika.id), references=(reference,))
    assert asked(found.job)["requests"][0]["references"] == [str(reference_pictures.path_of(studio, reference))]
    assert any("not trained for edits" in words for words in found.warnings)
    draw(studio, found.job)
    (row,) = generations.collect(studio, found.job)
    assert generations.request_for(row).references == (reference,)
    models.update(studio, mika.id, Words(kind="edit"))
    assert generations.check(studio, replace(generations.request_for(row), seed=1)).warnings == []
