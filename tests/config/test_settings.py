"""The declarations themselves."""

import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from likeness.config.crops import DetailCropsConfig
from likeness.config.run import RunConfig
from likeness.config.train import TrainConfig
from likeness.config.tree import Key, all_settings, dotted, kind_at, section_at

REQUIRED = {
    "name",
    "base",
    "data.datasets",
    "stages.0.name",
    "data.datasets.0.path",
    "sampling.prompts.0.prompt",
    "lora.modules.0.match",
}


def field(key: Key) -> FieldInfo:
    section = section_at(key[:-1])
    assert section is not None
    return section.model_fields[str(key[-1])]


SETTINGS = [*(k for k in all_settings() if isinstance(k[-1], str)), ("data", "datasets"), ("sampling", "prompts")]


@pytest.mark.parametrize("key", SETTINGS, ids=dotted)
def test_every_setting_has_help_and_a_default(key: Key):
    info = field(key)
    assert info.description and info.description.endswith(".")
    has_default = info.default is not PydanticUndefined or info.default_factory is not None
    assert has_default == (dotted(key) not in REQUIRED)


@pytest.mark.parametrize("key", [k for k in SETTINGS if kind_at(k) in (int, float)], ids=dotted)
def test_every_number_has_a_lower_bound(key: Key):
    assert any(hasattr(bound, "ge") or hasattr(bound, "gt") for bound in field(key).metadata)


def test_the_defaults_are_the_ones_promised():
    config = RunConfig.model_validate({"name": "a", "base": "b", "data": {"datasets": ["p"]}})
    assert (config.kind, config.trigger) == ("character", "")
    assert (config.optim.learning_rate, config.optim.text_encoder_learning_rate) == (1e-4, None)
    assert (config.train.epochs, config.train.batch_size, config.train.seed) == (10, 1, 42)
    assert (config.train.save_every, config.train.sample_every, config.train.probes) == (1, 1, 16)
    assert (config.lora.rank, config.lora.alpha, config.lora.targets) == (16, 16.0, "all")
    assert (config.data.datasets[0].repeats, config.data.captions.dropout, config.data.hold_out) == (20, 0.05, "auto")
    assert (config.sampling.max_prompts, config.sampling.prompts) == (4, [])


KNOWN_AS_ONE = (DetailCropsConfig,)  # people know these settings side by side, under these names
SECTIONS = {section for key in SETTINGS for i in range(len(key)) if (section := section_at(key[:i]))}


@pytest.mark.parametrize("section", sorted(SECTIONS, key=str), ids=lambda s: s.__name__)
def test_groups_are_small_closed_and_frozen(section: type[BaseModel]):
    assert len(section.model_fields) <= (20 if section in KNOWN_AS_ONE else 15)
    assert section.model_config.get("extra") == "forbid"
    assert section.model_config.get("frozen") is True


def test_a_value_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        TrainConfig().epochs = 3  # pyright: ignore[reportAttributeAccessIssue]
