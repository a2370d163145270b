"""Fields and settings become each other without loss."""

from typing import Any

import pytest

from likeness.catalog import CARDS
from likeness.config.load import read_config
from likeness.errors import InputError
from likeness.studio.planning import as_yaml
from likeness.web.train_form import BASIC, PREFIX, PROMPTS, fill, groups, read, settings


def as_form(config: dict[str, Any]) -> dict[str, list[str]]:
    """What a browser sends of the fields that a page filled in."""
    filled = fill(config)
    return {
        **{name: [text] for name, text in filled.top.items()},
        "dataset": [filled.dataset],
        "prompt": [row.prompt for row in filled.rows],
        "reference": [row.reference for row in filled.rows],
        "prompt-more": [row.more for row in filled.rows],
        "rest": [filled.rest],
        **{PREFIX + name: [text] for name, text in filled.values.items()},
    }


CONFIGS: list[dict[str, Any]] = [
    {"name": "a", "base": "starter", "data": {"datasets": [{"path": "dataset:a"}]}},
    {
        "name": "maya", "kind": "edit", "base": "flux2-klein-base-4b", "trigger": "maya_char", "description": "a: b",
        "data": {
            "datasets": [{"path": "dataset:m", "repeats": 12, "caption": "1e-4", "controls": ["/a, b", "/c"]},
                         {"path": "/more", "type": "regularisation", "repeats": 1}],
            "resolutions": [512, 768], "hold_out": 0, "augment": {"random": {"flip": True, "crop": 0.1}},
            "captions": {"caps": ["upper", "random"], "separator": ";"},
        },
        "train": {"epochs": 7, "timestep_sampling": "uniform"},
        "optim": {"learning_rate": 5e-5, "text_encoder_learning_rate": 0},
        "lora": {"modules": [{"match": ".*to_q", "rank": 4}], "targets": "all", "start_from": "run:a/3"},
        "sampling": {"prompts": [{"prompt": "make it night", "reference": ["dataset:m/a.png", "/b.png"], "seed": 7},
                                 {"prompt": "no"}], "guidance": 2.5},
        "hardware": {"compile": False, "quantize": "int8"},
    },
]  # fmt: skip


@pytest.mark.parametrize("config", CONFIGS)
def test_what_a_page_shows_is_what_it_sends(config: dict[str, Any]) -> None:
    assert read(as_form(config)) == config


def test_bare_paths_and_prompts_are_spelled_out() -> None:
    config = {"name": "a", "base": "starter", "data": {"datasets": ["dataset:a"]}, "sampling": {"prompts": ["x"]}}
    assert read(as_form(config)) == {
        "name": "a", "base": "starter", "data": {"datasets": [{"path": "dataset:a"}]},
        "sampling": {"prompts": [{"prompt": "x"}]},
    }  # fmt: skip
    assert len(fill(config).rows) == PROMPTS


def test_what_is_empty_is_not_said() -> None:
    form = {name: [""] for name in ("name", "dataset", "prompt", "reference", "rest", "trigger")}
    form |= {setting.name: ["  "] for setting in settings().values()}
    assert read(form) == {"data": {"datasets": [{"path": ""}]}}


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("train.epochs", "12", 12),
        ("train.epochs", "many", "many"),
        ("optim.learning_rate", "1e-4", 1e-4),
        ("optim.text_encoder_learning_rate", "0", 0),
        ("data.upscale", "true", True),
        ("data.hold_out", "auto", "auto"),
        ("data.hold_out", "3", 3),
        ("data.resolutions", "512, 768", [512, 768]),
        ("data.resolutions", "[512]", [512]),
        ("data.captions.caps", "upper", ["upper"]),
        ("data.captions.separator", "|", "|"),
        ("data.datasets.0.caption", "no", "no"),
        ("lora.targets", ".*to_q", ".*to_q"),
    ],
)
def test_values_are_of_their_kind(field: str, text: str, value: object) -> None:
    found: Any = read({PREFIX + field: [text], "dataset": ["x"]})
    for part in field.split("."):
        found = found[int(part) if part.isdecimal() else part]
    assert found == value and type(found) is type(value)


def test_what_is_no_value_is_told_at_its_field() -> None:
    with pytest.raises(InputError, match=r"^data\.resolutions: '\[512' cannot be read"):
        read({PREFIX + "data.resolutions": ["[512"], "dataset": ["x"]})


def test_fields_that_do_not_exist_are_no_settings() -> None:
    assert "foo" not in read({PREFIX + "foo.bar": ["1"], "foo": ["2"], "dataset": ["x"]})


def test_a_broken_rest_breaks_nothing() -> None:
    for rest in ("{", "[]", '{"data.datasets.path": 1}', '{"name.x": 1}', '{"": 1}'):
        try:
            read({"rest": [rest], "name": ["a"], "dataset": ["x"]})
        except InputError as e:
            assert "cannot be set" in str(e)


def test_every_setting_has_one_place(tmp_path: Any) -> None:
    shown = [setting.key for group in groups() for setting in group.settings]
    assert len(shown) == len(set(shown)) and not set(shown) & set(BASIC)
    assert set(shown) | set(BASIC) == set(settings())
    assert all(group.title != group.key and group.words.endswith(".") for group in groups())
    assert all(setting.help for setting in settings().values())
    file = tmp_path / "a.yaml"
    file.write_text(as_yaml({"name": "a", "base": "starter", "data": {"datasets": [{"path": str(tmp_path)}]}}))
    places = {place.removesuffix(".0") for place in read_config(file).sources}
    known = {"name", "kind", "base", "trigger", "description", "data.datasets.0.path", "data.datasets.0.type",
             "sampling.prompts", "lora.modules"}  # fmt: skip
    assert {p for p in places if p not in settings() and p not in known} == set()


def test_defaults_are_those_of_the_base() -> None:
    assert settings(CARDS["starter"])["train.batch_size"].default == "10"
    assert settings()["train.batch_size"].default == "1" and settings()["data.resolution"].default == ""
    assert settings(CARDS["sdxl"])["data.resolution"].default == "1024"
