import json
from pathlib import Path
from typing import Any

import pytest

from likeness.errors import InputError
from likeness.store.tables import Job, Model
from likeness.studio import layouts, library, merges, models, queue
from likeness.studio.library import Filter
from likeness.studio.lora_choice import LoraChoice
from likeness.studio.merges import MergeRequest
from likeness.studio.workspace import Studio
from tests.tiny_lora import own_metadata, write_lora, write_run


@pytest.fixture
def mika(studio: Studio) -> Model:
    write_run(studio.workspace)
    return models.publish(studio, "mika", 2)


@pytest.fixture
def ada(studio: Studio, tmp_path: Path) -> Model:
    file = write_lora(tmp_path / "ada.safetensors", 77, own_metadata(name="ada", trigger="ada_char"))
    return models.import_lora(studio, file, file.name)


def asked(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(job.folder) / "job.json").read_text())
    return found


def work(job: Job, seed: int = 5) -> dict[str, Any]:
    """What a worker does."""
    path = write_lora(Path(asked(job)["output"]), seed, own_metadata(name="mix"))
    return {"path": str(path), "family": "flux2", "error": 0.25}


def test_a_merge_becomes_a_model_with_its_parents(studio: Studio, mika: Model, ada: Model) -> None:
    request = MergeRequest("Mika & Ada", (LoraChoice(mika.id, 0.9), LoraChoice(ada.id), LoraChoice("run:mika/3", 0.2)),
                           tags=("mix",), description="Both")  # fmt: skip
    job = merges.merge(studio, request)
    content = asked(job)
    assert job.light and content["device"] == "cpu" and content["recipe"]["method"] == "concat"
    assert [use["strength"] for use in content["loras"]] == [0.9, 1.0, 0.2] and content["base"] == "starter"
    assert merges.model_of(studio, job.id)[1] is None
    told = merges.take(studio, job, work(job))
    queue.change(studio, job.id, state="finished", result=told)
    _, model = merges.model_of(studio, job.id)
    assert model is not None and model.id == job.id and model.name == "Mika & Ada" and model.origin == "merge"
    assert set(model.parents) == {mika.id, ada.id} and model.trigger == "mika_char, ada_char"
    assert (model.base, model.family, model.description) == ("starter", "flux2", "Both")
    assert model.card["made"] == {"by": "merge", "method": "concat", "error": 0.25}
    found = library.family(studio, model.id).ancestors
    assert {(r.name, r.strength) for r in found} == {("mika", 0.9), ("ada", 1.0), ("mika epoch 3", 0.2)}
    assert not Path(content["output"]).exists(), "it lies in the library now"


def test_the_end_of_a_merge_told_twice_makes_one_model(studio: Studio, mika: Model, ada: Model) -> None:
    job = merges.merge(studio, MergeRequest("mix", (LoraChoice(mika.id), LoraChoice(ada.id))))
    result = work(job)
    assert merges.take(studio, job, result) == merges.take(studio, job, result) == {"model_id": job.id}
    assert library.listed(studio, Filter(origin="merge")).total == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"loras": 1}, "loras: one alone is no merge"),
        ({"name": ""}, "name: has 0 characters"),
        ({"tags": ("a,b",)}, "tags: "),
        ({"strength": 0.0}, "adds nothing"),
        ({"rank": 4}, "concat is exact"),
        ({"method": "svd", "rank": 0}, r"rank: 0 is no rank"),
        ({"method": "svd", "keep": float("nan")}, r"keep: "),
        ({"method": "linear", "density": 0.5}, r"^density: is for method ties"),
        ({"method": "dare", "drop": 1.0}, r"drop: 1 is no probability"),
    ],
)
def test_what_is_no_merge_is_refused(
    studio: Studio, mika: Model, ada: Model, values: dict[str, Any], words: str
) -> None:
    strength = values.pop("strength", 1.0)
    loras = (LoraChoice(mika.id, strength), LoraChoice(ada.id))[: values.pop("loras", 2)]
    with pytest.raises(InputError, match=words):
        merges.merge(studio, MergeRequest(**{"name": "mix", "loras": loras, **values}))
    assert queue.listed(studio) == []


def test_loras_of_two_families_are_refused(studio: Studio, mika: Model, tmp_path: Path) -> None:
    file = write_lora(tmp_path / "a.safetensors", 8, own_metadata(base="flux1-dev"))
    other = models.import_lora(studio, file, file.name)
    with pytest.raises(InputError, match="families flux2 and flux1"):
        merges.merge(studio, MergeRequest("mix", (LoraChoice(mika.id), LoraChoice(other.id))))


def test_one_lora_is_cut(studio: Studio, mika: Model) -> None:
    job = merges.merge(studio, MergeRequest("small", (LoraChoice(mika.id),), "svd", rank=2))
    assert asked(job)["recipe"]["rank"] == 2


# --- layouts


def test_a_layout_is_made_once_for_model_and_epoch(studio: Studio, mika: Model) -> None:
    lora = f"model:{mika.id}"
    assert layouts.converted(studio, lora, "kohya").state == "none"
    first, again = layouts.convert(studio, lora, "kohya"), layouts.convert(studio, "run:mika/2", "kohya")
    assert first.state == again.state == "made" and first.job and again.job and first.job.id == again.job.id
    content = asked(first.job)
    assert content["layout"] == "kohya" and content["base"] == "starter" and first.job.light
    with pytest.raises(InputError, match="is not there yet"):
        layouts.file_of(studio, lora, "kohya")
    write_lora(Path(content["output"]))
    ready = layouts.file_of(studio, lora, "kohya")
    assert ready.path == Path(content["output"]) and ready.file_name == "mika-kohya.safetensors"
    assert layouts.file_of(studio, "run:mika/2", "kohya").path == ready.path
    assert layouts.convert(studio, lora, "kohya").state == "ready"


def test_a_layout_that_failed_is_told_and_tried_again(studio: Studio, mika: Model) -> None:
    lora = f"model:{mika.id}"
    job = layouts.convert(studio, lora, "bfl").job
    assert job is not None
    queue.change(studio, job.id, state="failed", error="there is no such layout")
    assert layouts.converted(studio, lora, "bfl").state == "failed"
    with pytest.raises(InputError, match="there is no such layout"):
        layouts.file_of(studio, lora, "bfl")
    again = layouts.convert(studio, lora, "bfl")
    assert again.state == "made" and again.job and again.job.id != job.id
    with pytest.raises(InputError, match=r"^layout: there is no 'x'"):
        layouts.convert(studio, lora, "x")  # type: ignore[arg-type]


def test_layouts_go_with_the_last_model_of_a_file(studio: Studio, mika: Model) -> None:
    twin = models.duplicate(studio, mika.id)
    job = layouts.convert(studio, f"model:{mika.id}", "kohya").job
    assert job is not None
    path = write_lora(Path(asked(job)["output"]))
    for model, stays in ((mika, True), (twin, False)):
        models.delete_model(studio, model.id)
        models.remove(studio, model.id)
        assert path.exists() is stays
