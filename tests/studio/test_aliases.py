"""Requests of hosted trainers, as their makers document them."""

from typing import Any, get_args

import pytest

from likeness.config.run import RunConfig
from likeness.config.tree import kind_at, parse_key
from likeness.errors import InputError
from likeness.studio.aliases import FIELDS, Dialect, translate, with_steps

REQUESTS: dict[Dialect, dict[str, Any]] = {
    "scenario": {
        "name": "maya", "base": "flux2-klein-base-4b", "dataset": "dataset:maya",
        "parameters": {
            "batchSize": 2, "conceptPrompt": "maya_char", "learningRate": 1e-4, "nbEpochs": 12, "nbRepeats": 15,
            "rank": 32, "samplePrompts": ["maya_char at sea"], "wandbKey": "secret",
        },
    },
    "fal": {
        "name": "maya", "base": "sdxl", "images_data_url": "dataset:maya", "trigger_phrase": "maya_char", "steps": 1000,
        "learning_rate": 0.0002, "default_caption": "a photo of maya_char", "resolution": 768,
    },
    "bfl": {
        "name": "maya", "base": "flux1-dev", "file_data": "dataset:maya", "finetune_comment": "the hero",
        "mode": "character", "trigger_word": "TOK", "iterations": 300, "lora_rank": 16, "captioning": True,
        "priority": "quality", "finetune_type": "lora",
    },
    "replicate": {
        "name": "maya", "base": "flux1-dev", "input_images": "dataset:maya", "trigger_word": "TOK", "steps": 1000,
        "lora_rank": 16, "optimizer": "adamw8bit", "batch_size": 1, "resolution": "512,768,1024",
        "learning_rate": 0.0004, "caption_dropout_rate": 0.05, "autocaption": True, "cache_latents_to_disk": False,
    },
    "krea": {
        "name": "maya", "model": "flux1-dev", "dataset": "dataset:maya", "type": "Character", "trigger_word": "maya",
        "max_train_steps": 500,
    },
    "civitai": {
        "name": "maya", "engine": "kohya", "ecosystem": "sdxl", "epochs": 10, "numberOfRepeats": 17, "lr": 0.0005,
        "textEncoderLr": 0.00005, "networkDim": 32, "networkAlpha": 16, "triggerWord": "maya",
        "trainingData": {"type": "zip", "sourceUrl": "dataset:maya", "count": 12},
        "samples": {"prompts": ["maya at sea", "maya in a wood"], "negativePrompt": "blurry"},
    },
}  # fmt: skip


@pytest.mark.parametrize("dialect", get_args(Dialect))
def test_each_request_becomes_settings_that_are_valid(dialect: Dialect) -> None:
    found = translate(dialect, REQUESTS[dialect])
    config = RunConfig.model_validate(with_steps(found, 12, 1))
    assert config.name == "maya" and config.data.datasets[0].path == "dataset:maya"


def test_what_scenario_asks_for_is_what_is_set() -> None:
    found = translate("scenario", REQUESTS["scenario"])
    config = RunConfig.model_validate(found.config)
    assert (config.train.batch_size, config.train.epochs, config.data.datasets[0].repeats) == (2, 12, 15)
    assert (config.trigger, config.lora.rank, config.optim.learning_rate) == ("maya_char", 32, 1e-4)
    assert [p.prompt for p in config.sampling.prompts] == ["maya_char at sea"]
    assert found.notes == ["wandbKey: not used; curves are written for TensorBoard, into the run folder"]


def test_groups_of_fields_are_taken_apart() -> None:
    config = RunConfig.model_validate(translate("civitai", REQUESTS["civitai"]).config)
    assert [p.prompt for p in config.sampling.prompts] == ["maya at sea", "maya in a wood"]
    assert config.sampling.negative_prompt == "blurry" and config.lora.alpha == 16
    assert config.optim.text_encoder_learning_rate == 0.00005


@pytest.mark.parametrize(
    ("steps", "images", "batch", "expected"),
    [(1000, 10, 1, 1000), (1000, 12, 4, 1000), (30, 40, 1, 40), (100, 40, 1, 80), (5, 2, 1, 4)],
)
def test_steps_become_epochs_to_choose_from(steps: int, images: int, batch: int, expected: int) -> None:
    request = {"name": "x", "base": "sdxl", "input_images": "dataset:x", "steps": steps, "batch_size": batch}
    config = RunConfig.model_validate(with_steps(translate("replicate", request), images, batch))
    shown = images * config.data.datasets[0].repeats * config.train.epochs / batch
    assert abs(shown - expected) <= 0.2 * expected and config.train.epochs <= 10


@pytest.mark.parametrize("dialect", get_args(Dialect))
def test_an_unknown_field_is_refused_with_a_hint(dialect: Dialect) -> None:
    with pytest.raises(InputError, match=r"^triger_wrd: no such field of .*Fix: (did you mean '\w+'|known are)"):
        translate(dialect, {"dataset": "dataset:x", "triger_wrd": "x"})


@pytest.mark.parametrize(
    ("dialect", "request_", "words"),
    [
        ("fal", {"steps": "many"}, "steps: should be a whole number"),
        ("fal", {"steps": 0}, "steps: should be 1 or more"),
        ("fal", {"create_masks": True}, "create_masks: masks are not made here"),
        ("fal", {"trigger_word": "a", "trigger_phrase": "b"}, "says another thing than trigger_word"),
        ("bfl", {"mode": "voice"}, "mode: should be one of"),
        ("bfl", {"webhook_url": "https://example.com"}, "webhook_url: webhooks are a setting of the studio"),
        ("bfl", {"finetune_type": "full"}, "only 'lora'"),
        ("replicate", {"optimizer": "sgd"}, "optimizer: should be one of"),
        ("replicate", {"resolution": "big"}, "resolution: should be sizes in pixels"),
        ("krea", {"urls": ["https://example.com/a.png"]}, "urls: pictures are not fetched with the run"),
        ("scenario", {"maxTrainSteps": 10, "nbEpochs": 3}, "cannot be had beside epochs"),
        ("scenario", {"samplePrompts": ["a"], "sampleSourceImages": []}, "has 0 pictures for 1 prompts"),
        ("scenario", {"batchSize": True}, "batchSize: should be a whole number"),
        ("scenario", {"samplePrompts": [1]}, "samplePrompts: should be a list of texts"),
    ],
)
def test_what_cannot_be_done_is_told(dialect: Dialect, request_: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        translate(dialect, {"dataset": "dataset:x"} | request_)


def test_pictures_have_to_be_named() -> None:
    with pytest.raises(InputError, match="dataset: is missing"):
        translate("krea", {"name": "x", "model": "sdxl"})


def test_edits_have_their_source_pictures() -> None:
    request = {"dataset": "dataset:x", "samplePrompts": ["make it night", "b"], "sampleSourceImages": ["/a.png", ""]}
    config = translate("scenario", request).config
    assert config["sampling"]["prompts"] == [{"prompt": "make it night", "reference": "/a.png"}, {"prompt": "b"}]


def test_every_field_leads_to_a_setting_or_tells_why_not() -> None:
    for table in FIELDS.values():
        for name, field in table.items():
            known = field.setting == "sampling.references" or kind_at(parse_key(field.setting)) is not None
            assert field.steps or field.why or (field.setting and known), name
