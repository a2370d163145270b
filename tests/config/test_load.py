"""What reading gives: values, where they came from, and the way to run.json and back."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from likeness.catalog import CARDS
from likeness.config.load import config_digest, config_from_dict, config_to_dict, read_config, schema
from likeness.config.tree import all_settings, dotted
from likeness.errors import InputError
from tests.config.conftest import SMALLEST, Read

FULL = """\
name: maya
kind: character          # a comment
base: flux2-klein-base-4b
trigger: maya_char
data:
  datasets: [{path: photos/maya, repeats: 20}, photos/more]
  resolution: 128
train: {epochs: 10, batch_size: 1, seed: 42}
optim: {learning_rate: 1e-4}
lora: {rank: 16, alpha: 16}
sampling:
  prompts:
    - "maya_char, portrait, smiling"
    - prompt: maya_char on a beach
      seed: 7
"""


def test_a_whole_file(read: Read, tmp_path: Path):
    config = read(FULL).config
    assert [d.path for d in config.data.datasets] == [str(tmp_path / "photos/maya"), str(tmp_path / "photos/more")]
    assert config.optim.learning_rate == 1e-4
    assert config.lora.alpha == 16.0
    assert [(p.prompt, p.seed) for p in config.sampling.prompts] == [
        ("maya_char, portrait, smiling", None),
        ("maya_char on a beach", 7),
    ]


def test_sources_name_line_card_override_and_default(read: Read):
    sources = read(FULL, "train.epochs=3").sources
    expected = {
        "name": "maya.yaml:1",
        "data.datasets.0.repeats": "maya.yaml:6",
        "data.datasets.1.path": "maya.yaml:6",
        "data.datasets.1.repeats": "default",
        "data.resolution": "maya.yaml:7",
        "train.epochs": "--set",
        "optim.learning_rate": "maya.yaml:9",
        "optim.beta1": "default",
        "sampling.prompts.0.prompt": "maya.yaml:13",
        "sampling.prompts.0.seed": "default",
        "sampling.prompts.1.seed": "maya.yaml:15",
        "sampling.steps": "card flux2-klein-base-4b",
    }
    assert {key: sources[key] for key in expected} == expected


def without_entries(key: str) -> str:
    """A list as a whole, but for the first dataset: most lists have no entries."""
    return re.sub(r"(?<!data\.datasets)\.\d+\b.*", "", key)


def test_every_leaf_has_a_source(read: Read):
    loaded = read(SMALLEST)
    settings = {without_entries(dotted(key)) for key in all_settings()} - {"stages"}  # a run is one of them
    assert {without_entries(key) for key in loaded.sources} == settings
    assert loaded.sources["sampling.prompts"] == "default"


def test_the_card_stands_between_defaults_and_file(read: Read):
    card = CARDS["starter"]
    loaded = read(SMALLEST)
    assert loaded.card is card
    assert loaded.config.data.resolution == card.resolution
    assert loaded.config.optim.learning_rate == card.defaults["optim.learning_rate"]
    assert (loaded.config.sampling.steps, loaded.config.sampling.guidance) == (card.steps, card.guidance)
    assert loaded.config.sampling.width is None  # settled per prompt: an edit takes the size of its source
    assert loaded.sources["optim.learning_rate"] == "card starter"
    own = read(SMALLEST + "optim: {learning_rate: 3e-5}\n")
    assert (own.config.optim.learning_rate, own.sources["optim.learning_rate"]) == (3e-5, "maya.yaml:5")


def test_a_key_without_a_value_is_as_good_as_absent(read: Read):
    loaded = read(SMALLEST + "trigger:\noptim:\nsampling:\n  steps: null\n")
    assert loaded.config.trigger == ""
    assert loaded.sources["trigger"] == "default"
    assert loaded.config.optim.learning_rate == CARDS["starter"].defaults["optim.learning_rate"]
    assert (loaded.config.sampling.steps, loaded.sources["sampling.steps"]) == (16, "card starter")


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("train.epochs=3", 3),
        ("optim.learning_rate=5e-5", 5e-5),
        ("data.datasets.0.repeats=5", 5),
        ("data.datasets.0.path=/a=b", "/a=b"),
        ("data.upscale=true", True),
        ("data.hold_out=3", 3),
        ("trigger=no", "no"),  # YAML 1.1 would read false
        ("description=12:30", "12:30"),  # and here 750
        ("hardware.threads=2", 2),
    ],
)
def test_overrides(read: Read, override: str, value: object):
    loaded = read(SMALLEST, override)
    setting = override.partition("=")[0]
    found: Any = config_to_dict(loaded.config)
    for part in setting.split("."):
        found = found[int(part) if part.isdecimal() else part]
    assert found == value
    assert loaded.sources[setting] == "--set"


def test_overrides_come_last_and_in_order(read: Read):
    loaded = read(SMALLEST + "train: {epochs: 2}\n", "train.epochs=3", "train.epochs=4")
    assert loaded.config.train.epochs == 4
    assert read(SMALLEST + "train: {epochs: 2}\n", "train.epochs=").config.train.epochs == 10


def test_overriding_a_whole_list_and_then_an_entry(read: Read):
    loaded = read(SMALLEST, "sampling.prompts=[one, {prompt: two}]", "sampling.prompts.1.seed=7")
    assert [(p.prompt, p.seed) for p in loaded.config.sampling.prompts] == [("one", None), ("two", 7)]
    assert loaded.sources["sampling.prompts.0.prompt"] == "--set"
    assert loaded.sources["sampling.prompts.0.seed"] == "default"
    changed = read(SMALLEST + "sampling: {prompts: [one, two]}\n", "sampling.prompts.1=three")
    assert [p.prompt for p in changed.config.sampling.prompts] == ["one", "three"]


def test_the_base_may_come_from_an_override(read: Read):
    loaded = read(SMALLEST, "base=flux2-klein-base-9b")
    assert loaded.card.name == "flux2-klein-base-9b"
    assert loaded.config.data.resolution == 1024


def test_paths_start_at_the_file_then_at_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    configs, work = tmp_path / "configs", tmp_path / "work"
    for folder in (configs / "near", work / "near", work / "far"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(work)
    (configs / "a.yaml").write_text(
        "name: a\nbase: starter\ndata: {datasets: [near, far, nowhere, near]}\n"
        "sampling: {prompts: [{prompt: x, reference: near}, {prompt: y, reference: /there.png}]}\n"
    )
    config = read_config(configs / "a.yaml", ["data.datasets.3.path=near"]).config
    paths = [d.path for d in config.data.datasets]
    assert paths == [str(configs / "near"), str(work / "far"), str(configs / "nowhere"), str(work / "near")]
    assert [p.reference for p in config.sampling.prompts] == [[str(configs / "near")], ["/there.png"]]


def test_paths_are_absolute_even_when_the_file_is_named_relatively(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "maya.yaml").write_text(SMALLEST)
    monkeypatch.chdir(tmp_path)
    assert read_config(Path("maya.yaml")).config.data.datasets[0].path == os.path.join(os.getcwd(), "photos")


def test_a_base_folder_beside_the_file(read: Read, tmp_path: Path):
    folder = tmp_path / "model"
    (folder / "text_encoder").mkdir(parents=True)
    (folder / "model_index.json").write_text('{"_class_name": "Flux2KleinPipeline"}')
    (folder / "text_encoder/config.json").write_text('{"num_hidden_layers": 36}')
    loaded = read(SMALLEST, f"base={folder}")
    beside = read(SMALLEST.replace("starter", "./model"))
    assert loaded.config.base == beside.config.base == str(folder)
    assert beside.card.location == str(folder)


def test_round_trip_through_run_json(read: Read):
    config = read(FULL, "sampling.negative_prompt=blurry", "data.hold_out=0").config
    again = config_from_dict(json.loads(json.dumps(config_to_dict(config))))
    assert again == config
    assert config_digest(again) == config_digest(config)


def test_a_damaged_run_json_is_refused_by_name(read: Read):
    values = config_to_dict(read(FULL).config)
    values["train"]["epohcs"] = 3
    values["lora"]["rank"] = 0
    with pytest.raises(InputError) as error:
        config_from_dict(values)
    assert set(error.value.problems) == {
        "run.json: train.epohcs: no such setting; did you mean 'epochs'?",
        "run.json: lora.rank: should be at least 1 (got 0)",
    }


def test_the_digest_depends_on_values_alone(read: Read):
    one, other = read(SMALLEST), read(SMALLEST + "train: {epochs: 10}\n")
    assert one.sources != other.sources
    assert config_digest(one.config) == config_digest(other.config)
    assert config_digest(read(SMALLEST, "train.seed=43").config) != config_digest(one.config)
    assert len(bytes.fromhex(config_digest(one.config))) == 32


def test_the_schema_knows_short_forms_bounds_and_help():
    found = schema()
    assert set(found["required"]) == {"name", "base", "data"}
    assert found["additionalProperties"] is False
    assert found["$defs"]["TrainConfig"]["properties"]["epochs"]["minimum"] == 1
    items = found["$defs"]["DataConfig"]["properties"]["datasets"]["items"]
    assert {"type": "string"} in items["anyOf"]
    assert found["$defs"]["LoraConfig"]["properties"]["rank"]["description"]


def test_the_settings_do_not_import_torch():
    code = "import sys, likeness.config.load, likeness.config.plan; print([m for m in sys.modules if m in %r])"
    heavy = ("torch", "diffusers", "transformers", "peft", "numpy")
    done = subprocess.run([sys.executable, "-c", code % (heavy,)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
