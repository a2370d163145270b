import json
import os
import re
import time
from pathlib import Path

import pytest
from sqlalchemy import update

from likeness import durable
from likeness.errors import Conflict, InputError, NotFound
from likeness.store.tables import Model
from likeness.studio import examples, library, models, publishing
from likeness.studio.examples import Example
from likeness.studio.library import Filter
from likeness.studio.models import Words
from likeness.studio.workspace import Studio
from tests.tiny_lora import PROMPTS, write_lora, write_picture, write_run


@pytest.fixture
def mika(studio: Studio) -> Model:
    write_run(studio.workspace)
    return models.publish(studio, "mika", 2, description="A girl", tags=["Girl", " flat ", "girl"], strength=0.8)


def names(studio: Studio, **wanted: object) -> list[str]:
    sort = wanted.pop("sort", "newest")
    return [m.name for m in library.listed(studio, Filter(**wanted), sort).models]  # type: ignore[arg-type]


def test_an_epoch_is_published_with_its_facts(studio: Studio, mika: Model) -> None:
    run = studio.workspace / "mika"
    assert (studio.models / mika.id / "mika.safetensors").read_bytes() == (
        run / "checkpoints/epoch-002.safetensors"
    ).read_bytes()
    assert (mika.base, mika.family, mika.kind, mika.trigger) == ("starter", "flux2", "character", "mika_char")
    assert (mika.run, mika.epoch, mika.origin, mika.strength) == ("mika", 2, "run", 0.8)
    assert mika.card["run"]["images"] == 12 and mika.card["settings"]["optim.learning_rate"] == "0.001"
    assert mika.card["verdict"]["suggested"] == 2 and mika.card["measures"]["likeness"] == [0.8, 0.02]
    assert mika.card["file"]["rank"] == 4 and mika.card["base"]["licence"] == "Apache-2.0"
    assert models.tags_of(studio, [mika.id])[mika.id] == ["flat", "girl"]


def test_its_test_pictures_are_its_examples_those_with_the_trigger_first(studio: Studio, mika: Model) -> None:
    assert [e["prompt"] for e in mika.examples] == [PROMPTS[0], PROMPTS[2], PROMPTS[1]]
    assert mika.examples[0]["seed"] == 42 and mika.examples[0]["steps"] == 16
    assert mika.thumbnail == mika.examples[0]["file"]
    copied = examples.picture_path(studio, mika, mika.thumbnail)
    assert copied.read_bytes() == (studio.workspace / "mika/samples/epoch-002/prompt-1-seed-42.png").read_bytes()


def test_nothing_of_this_machine_is_kept_with_a_model(studio: Studio, mika: Model) -> None:
    run_json = (studio.models / mika.id / "run.json").read_text()
    told = json.dumps(mika.card) + run_json
    assert "/home/ada" not in told and "/opt/" not in told and '"mika"' in run_json


def test_what_is_no_epoch_is_not_published(studio: Studio, mika: Model) -> None:
    for run, epoch, words in (
        ("mika", 9, "no LoRA file of epoch 9. Fix: choose from: 1, 2, 3"),
        ("nobody", 1, "no such folder"),
        ("../mika", 1, "is no name for a run"),
    ):
        with pytest.raises(InputError, match=words):
            models.publish(studio, run, epoch)
    with pytest.raises(Conflict, match="is in the library already, as 'mika'"):
        models.publish(studio, "mika", 2, name="again")
    assert library.listed(studio, Filter()).total == 1 and len(list(studio.models.iterdir())) == 1


def test_a_damaged_epoch_is_not_published(studio: Studio) -> None:
    file = write_run(studio.workspace) / "checkpoints/epoch-001.safetensors"
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(InputError, match="other data"):
        models.publish(studio, "mika", 1)
    assert not studio.models.exists()


def test_a_file_of_any_origin_is_imported(studio: Studio, tmp_path: Path) -> None:
    source = write_lora(tmp_path / "Ada & Co.safetensors", metadata={"modelspec.architecture": "flux2/lora"})
    model = models.import_lora(studio, source, source.name)
    assert (model.name, model.file, model.family, model.base) == ("Ada & Co", "Ada-Co.safetensors", "flux2", "")
    assert model.kind == "" and model.origin == "import"
    told = models.update(studio, model.id, Words(base="Flux2-Klein-Base-4B", trigger="ada", kind="style"))
    assert told.family == "flux2" and told.card["base"]["licence"] == "Apache-2.0" and told.trigger == "ada"
    with pytest.raises(Conflict, match="already, as 'Ada & Co'"):
        models.import_lora(studio, source, "other.safetensors")


@pytest.mark.parametrize("name", ["a.pt", "a.ckpt", "a.bin", "a.zip", "a"])
def test_only_safetensors_are_imported(studio: Studio, tmp_path: Path, name: str) -> None:
    source = write_lora(tmp_path / name)
    with pytest.raises(InputError, match=r"is no \.safetensors file"):
        models.import_lora(studio, source, name)


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (Words(name=" \n "), "name"),
        (Words(name="x" * 101), "name"),
        (Words(tags=["x" * 41]), "tags"),
        (Words(tags=["a,b"]), "tags"),
        (Words(tags=[str(n) for n in range(31)]), "tags"),
        (Words(strength=float("nan")), "strength"),
        (Words(strength=5), "strength"),
        (Words(kind="villain"), "kind"),
        (Words(description="x" * 10_001), "description"),
    ],
)
def test_words_that_do_not_do(studio: Studio, mika: Model, words: Words, field: str) -> None:
    with pytest.raises(InputError, match=f"^{field}: .*Fix:"):
        models.update(studio, mika.id, words)
    now = models.get(studio, mika.id)
    assert (now.name, now.strength, now.kind) == ("mika", 0.8, "character")
    assert models.tags_of(studio, [mika.id])[mika.id] == ["flat", "girl"]


def test_what_is_said_is_changed(studio: Studio, mika: Model) -> None:
    models.update(studio, mika.id, Words(name="Mika", description="", tags=["new"], strength=1.2))
    now = models.get(studio, mika.id)
    assert (now.name, now.description, now.strength) == ("Mika", "", 1.2)
    assert models.tags_of(studio, [mika.id])[mika.id] == ["new"]
    models.update(studio, mika.id, Words(name="Mika 2"))
    assert models.tags_of(studio, [mika.id])[mika.id] == ["new"], "what is not given stays"


def test_a_duplicate_stands_on_its_own(studio: Studio, mika: Model) -> None:
    twin = models.duplicate(studio, mika.id)
    assert twin.name == "mika copy" and twin.parents == [mika.id] and twin.examples == mika.examples
    models.update(studio, twin.id, Words(tags=["other"]))
    models.delete_model(studio, mika.id)
    models.remove(studio, mika.id)
    assert models.lora_path(studio, models.get(studio, twin.id)).is_file()
    assert examples.picture_path(studio, twin, str(twin.thumbnail)).is_file()
    assert models.tags_of(studio, [twin.id])[twin.id] == ["other"]


def test_deleted_models_can_be_put_back(studio: Studio, mika: Model) -> None:
    models.delete_model(studio, mika.id)
    assert names(studio) == [] and names(studio, binned=True) == ["mika"]
    with pytest.raises(NotFound, match="is in the bin"):
        models.get(studio, mika.id)
    models.restore(studio, mika.id)
    assert names(studio) == ["mika"]
    with pytest.raises(Conflict, match="is not in the bin"):
        models.remove(studio, mika.id)


def test_the_bin_is_emptied_of_what_is_old(studio: Studio, mika: Model) -> None:
    twin = models.duplicate(studio, mika.id)
    for model in (mika, twin):
        models.delete_model(studio, model.id)
    with studio.database.session() as session:
        session.execute(update(Model).where(Model.id == mika.id).values(deleted=time.time() - 31 * 86400))
    assert models.empty_bin(studio) == 1
    assert names(studio, binned=True) == ["mika copy"] and not (studio.models / mika.id).exists()
    assert (studio.models / twin.id).exists()
    with pytest.raises(NotFound):
        models.restore(studio, mika.id)


def test_folders_that_a_killed_server_left_go_with_the_bin(studio: Studio, mika: Model) -> None:
    old, young = studio.models / "left", studio.models / "just-begun"
    for folder in (old, young):
        folder.mkdir()
    for folder in (old, studio.models / mika.id):
        os.utime(folder, (0, 0))
    assert models.empty_bin(studio) == 0
    assert not old.exists() and young.exists() and (studio.models / mika.id).exists()


def test_archived_models_are_out_of_the_way(studio: Studio, mika: Model) -> None:
    models.archive(studio, mika.id)
    assert names(studio) == [] and names(studio, archived=True) == ["mika"]
    assert models.get(studio, mika.id).archived
    models.archive(studio, mika.id, False)
    assert names(studio) == ["mika"]


def test_a_full_disk_leaves_nothing(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(studio.workspace)

    def full(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(models, "copy_file", full)
    with pytest.raises(OSError, match="No space"):
        models.publish(studio, "mika", 1)
    assert list(studio.models.iterdir()) == [] and library.listed(studio, Filter()).total == 0


# --- lists


@pytest.fixture
def shelf(studio: Studio, tmp_path: Path) -> Studio:
    """Five imported models, the last being the newest."""
    rows = (
        ("Ada", "starter", "style", ["ink", "old"]),
        ("Bela 100%", "starter", "character", ["ink"]),
        ("cleo", "", "character", []),
        ("Dora", "flux1-dev", "edit", ["new"]),
        ("eva", "starter", "", []),
    )
    for number, (name, base, kind, tags) in enumerate(rows):
        file = write_lora(tmp_path / f"{number}.safetensors", number, metadata={})
        words = Words(name, f"Number {number}", tags, None, kind, base, f"{name[:3].lower()}_char")
        models.import_lora(studio, file, file.name, words)
    return studio


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["eva", "Dora", "cleo", "Bela 100%", "Ada"]),
        ({"sort": "name"}, ["Ada", "Bela 100%", "cleo", "Dora", "eva"]),
        ({"sort": "oldest", "kind": "character"}, ["Bela 100%", "cleo"]),
        ({"base": "starter"}, ["eva", "Bela 100%", "Ada"]),
        ({"tags": ("ink",)}, ["Bela 100%", "Ada"]),
        ({"tags": ("Ink", "old")}, ["Ada"]),
        ({"search": "ADA"}, ["Ada"]),
        ({"search": "number bel"}, ["Bela 100%"]),
        ({"search": "ink number"}, ["Bela 100%", "Ada"]),
        ({"search": "ele_char"}, []),
        ({"search": "100%"}, ["Bela 100%"]),
        ({"search": "%"}, ["Bela 100%"]),
        ({"search": "eva_char"}, ["eva"]),
        ({"family": "flux1"}, ["Dora"]),
    ],
)
def test_the_library_is_searched_and_sorted(shelf: Studio, wanted: dict[str, object], found: list[str]) -> None:
    assert names(shelf, **wanted) == found


def test_lists_come_by_pages(shelf: Studio) -> None:
    first, second = (library.listed(shelf, Filter(), "name", 3, offset) for offset in (0, 3))
    assert [m.name for m in first.models + second.models] == ["Ada", "Bela 100%", "cleo", "Dora", "eva"]
    assert first.total == second.total == 5 and first.tags[first.models[0].id] == ["ink", "old"]


def test_what_can_be_filtered_by_is_counted(shelf: Studio) -> None:
    models.archive(shelf, library.listed(shelf, Filter(search="cleo")).models[0].id)
    found = library.choices(shelf)
    assert found.bases == {"starter": 3, "flux1-dev": 1} and found.tags == {"ink": 2, "new": 1, "old": 1}
    assert found.archived == 1 and found.binned == 0


# --- family


def test_children_find_their_parents_whoever_came_first(studio: Studio) -> None:
    run = write_run(studio.workspace)
    write_run(studio.workspace, "onward", seed=1)
    frozen = json.loads((studio.workspace / "onward/run.json").read_text())
    parent = run / "checkpoints/epoch-003.safetensors"
    digest = models.lora_file.sha256_of(parent)
    frozen["parent"] = {"run": "mika", "epoch": 3, "path": str(parent), "sha256": digest}
    durable.write_text(studio.workspace / "onward/run.json", json.dumps(frozen))
    child = models.publish(studio, "onward", 1)
    found = library.family(studio, child.id)
    assert [(r.name, r.model_id, r.epoch) for r in found.ancestors] == [("mika", "", 3)], "not in the library yet"
    mother = models.publish(studio, "mika", 3, name="Mother")
    assert [r.model_id for r in library.family(studio, child.id).ancestors] == [mother.id]
    assert [r.model_id for r in library.family(studio, mother.id).descendants] == [child.id]
    grandchild = models.duplicate(studio, child.id)
    line = library.family(studio, grandchild.id).ancestors
    assert line[0].model_id == child.id and line[0].relatives[0].model_id == mother.id
    sister = models.publish(studio, "onward", 2)
    assert {r.model_id for r in library.family(studio, child.id).siblings} == {sister.id, grandchild.id}


def test_a_family_that_is_its_own_parent_ends(studio: Studio, mika: Model) -> None:
    twin = models.duplicate(studio, mika.id)
    models.change(studio, mika.id, lambda model: setattr(model, "parents", [twin.id]))
    found = library.family(studio, mika.id)
    assert found.ancestors[0].model_id == twin.id and found.ancestors[0].relatives == []


# --- examples


def test_pictures_are_pinned_and_shown_first(studio: Studio, mika: Model, tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "new.png", (1, 2, 3))
    example = Example(picture, {"prompt": "new", "seed": 1})
    for _ in range(2):  # the same one twice is one
        model = models.change(studio, mika.id, lambda m: examples.pin(studio, m, example))
    assert [e["prompt"] for e in model.examples] == [PROMPTS[0], PROMPTS[2], PROMPTS[1], "new"]
    new = model.examples[-1]["id"]
    model = models.change(studio, mika.id, lambda m: examples.show_first(m, new))
    assert model.thumbnail == f"examples/{new}.png"
    model = models.change(studio, mika.id, lambda m: examples.unpin(m, new))
    assert len(model.examples) == 3 and model.thumbnail == model.examples[0]["file"]
    with pytest.raises(NotFound):
        models.change(studio, mika.id, lambda m: examples.unpin(m, new))


def test_only_its_own_pictures_are_given_out(studio: Studio, mika: Model) -> None:
    for file in ("mika.safetensors", "run.json", "../studio.db", "examples/../run.json", "examples/none.png"):
        with pytest.raises(NotFound):
            examples.picture_path(studio, mika, file)


def test_there_is_a_limit_to_examples(studio: Studio, mika: Model, tmp_path: Path) -> None:
    def fill(model: Model) -> None:
        for number in range(examples.MOST):
            examples.pin(studio, model, Example(write_picture(tmp_path / "x.png", (number, 0, 0)), {}))

    with pytest.raises(Conflict, match="has 24 already"):
        models.change(studio, mika.id, fill)
    assert len(models.get(studio, mika.id).examples) == 3


# --- given away


def test_a_model_is_published_to_a_folder(studio: Studio, mika: Model, tmp_path: Path) -> None:
    folder = publishing.to_folder(studio, mika.id, tmp_path / "out" / "mika")
    assert {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} == {
        "README.md", "mika.safetensors", *(e["file"] for e in mika.examples),
    }  # fmt: skip
    text = (folder / "README.md").read_text()
    assert text.startswith("---\n") and "instance_prompt: mika_char" in text and "license: apache-2.0" in text
    assert "Sweet spot: epochs 2–3" in text and "0.80 ±0.02" in text
    with pytest.raises(Conflict, match="not empty"):
        publishing.to_folder(studio, mika.id, folder)
    for wrong in (Path("relative"), studio.root / "x", Path("/tmp/../etc/x")):
        with pytest.raises(InputError, match=r"^folder: "):
            publishing.to_folder(studio, mika.id, wrong)


def test_a_card_cannot_be_broken_by_what_people_write(studio: Studio, tmp_path: Path) -> None:
    words = Words(name="a\n---\n# b <script>", description="[x](javascript:y)\n```", trigger="`rm`", base="starter")
    model = models.import_lora(studio, write_lora(tmp_path / "a.safetensors", metadata={}), "a.safetensors", words)
    folder = publishing.to_folder(studio, model.id, tmp_path / "out")
    text = (folder / "README.md").read_text()
    assert text.count("\n---\n") == 1, "the front matter ends once"
    assert not re.search(r"(?<!\\)(<script|\]\(javascript|^#* b)", text, re.MULTILINE)


def test_the_hub_needs_a_repository_and_a_token(
    studio: Studio, mika: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(InputError, match="write owner/name"):
        publishing.to_hub(studio, mika.id, "nobody")
    with pytest.raises(InputError, match="there is no token"):
        publishing.to_hub(studio, mika.id, "ada/mika")
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    job = publishing.to_hub(studio, mika.id, "ada/mika")
    order = json.loads((Path(job.folder) / "job.json").read_text())
    assert order["repository"] == "ada/mika" and order["private"] is True and job.light
    assert (Path(order["folder"]) / "README.md").is_file() and "hf_x" not in json.dumps(order)
    publishing.take(studio, job, {})
    assert not Path(order["folder"]).exists()
