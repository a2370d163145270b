import json
from pathlib import Path
from typing import Any

import pytest

from likeness.catalog import CARDS, FAMILIES, STARTER_FOLDER, Card, card_for_folder, find_card, resolve_base
from likeness.config.tree import kind_at, parse_key
from likeness.errors import InputError


def model_folder(folder: Path, facts: object = None, **index: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "Flux2KleinPipeline", **index}))
    if facts is not None:
        (folder / "likeness.json").write_text(json.dumps(facts))
    return folder


def problem(base: str, *near: Path) -> str:
    with pytest.raises(InputError) as error:
        resolve_base(base, near or (Path(),))
    return str(error.value)


@pytest.mark.parametrize("card", CARDS.values(), ids=lambda c: c.name)
def test_each_card_is_consistent(card: Card):
    assert CARDS[card.name] is card
    assert (card.repository is None) != (card.path is None)
    assert card.location == (str(card.path) if card.path else card.repository)
    assert card.family in FAMILIES
    assert card.resolution % card.multiple == 0
    assert set(card.runs_on) <= set(CARDS) - {card.name}
    assert list(card.text_layers) == sorted(set(card.text_layers))
    assert card.successor is None or card.successor in CARDS
    for key, value in card.run_defaults().items():
        kind = kind_at(parse_key(key))
        assert kind is not None, key
        assert isinstance(value, (int, float, str, bool))
    assert card.run_defaults()["data.resolution"] == card.resolution
    assert not (card.distilled and card.guidance > 1)
    assert hash(card) == hash(card)


def test_loras_of_a_base_run_on_its_distilled_sister():
    for name in ("flux2-klein-base-4b", "flux2-klein-base-9b", "starter"):
        (sister,) = CARDS[name].runs_on
        assert CARDS[sister].distilled and CARDS[sister].parameters == CARDS[name].parameters


def test_found_by_name_or_repository_in_any_case():
    assert find_card("Starter") is CARDS["starter"]
    assert find_card("BLACK-forest-labs/flux.2-KLEIN-base-4b") is CARDS["flux2-klein-base-4b"]
    assert find_card("flux2") is None
    assert find_card("") is None


def test_the_starter_is_known_by_its_folder():
    assert resolve_base("starter").path == STARTER_FOLDER
    assert card_for_folder(STARTER_FOLDER / ".." / STARTER_FOLDER.name) is CARDS["starter"]


def test_what_ships_says_of_itself_what_its_card_says():
    for name in ("starter", "starter-distilled"):
        card = resolve_base(name)
        assert card.path is not None and card.download_bytes == 0 and card_for_folder(card.path) is card
        facts = json.loads((card.path / "likeness.json").read_text())
        assert {fact: list(v) if isinstance(v := getattr(card, fact), tuple) else v for fact in facts} == facts
        assert json.loads((card.path / "model_index.json").read_text()).get("is_distilled", False) is card.distilled


def test_a_full_size_folder(tmp_path: Path):
    folder = model_folder(tmp_path / "mine")
    card = resolve_base(str(folder))
    assert (card.name, card.family, card.path, card.repository) == ("mine", "flux2", folder, None)
    assert (card.text_layers, card.text_tokens, card.steps, card.resolution) == ((9, 18, 27), 512, 50, 1024)
    assert not card.distilled


def test_a_distilled_folder(tmp_path: Path):
    card = resolve_base(str(model_folder(tmp_path / "fast", is_distilled=True)))
    assert (card.distilled, card.steps, card.guidance, card.negative_prompt) == (True, 4, 1.0, False)


def test_a_folder_tells_its_own_facts(tmp_path: Path):
    facts = {"resolution": 256, "text_layers": [1, 2], "guidance": 3, "defaults": {"train.batch_size": 4}}
    card = resolve_base(str(model_folder(tmp_path / "mine", facts)))
    assert (card.resolution, card.text_layers, card.guidance) == (256, (1, 2), 3.0)
    assert card.run_defaults()["train.batch_size"] == 4 and card.run_defaults()["data.resolution"] == 256
    assert "no such fact as 'nonsense'" in problem(str(model_folder(tmp_path / "wrong", {"nonsense": 1})))
    assert "steps should be a int" in problem(str(model_folder(tmp_path / "text", {"steps": "four"})))


def test_a_copy_of_the_starter_is_the_starter_elsewhere(tmp_path: Path):
    (tmp_path / "copy").mkdir()
    for name in ("model_index.json", "likeness.json"):
        (tmp_path / "copy" / name).write_bytes((STARTER_FOLDER / name).read_bytes())
    card, starter = resolve_base(str(tmp_path / "copy")), CARDS["starter"]
    assert card.run_defaults() == starter.run_defaults() and card.pipeline_arguments == starter.pipeline_arguments
    assert (card.name, card.path, card.max_references) == ("copy", tmp_path / "copy", starter.max_references)


def test_a_folder_is_looked_for_in_the_given_order(tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    model_folder(second / "m")
    assert resolve_base("m", (first, second)).path == second / "m"
    model_folder(first / "m")
    assert resolve_base("m", (first, second)).path == first / "m"


def test_an_unlisted_repository_is_judged_by_its_name():
    for name in ("someone/FLUX.2-klein-anime", "someone/my_flux2_model"):
        card = resolve_base(name)
        assert (card.family, card.location, card.path) == ("flux2", name, None)
    for name in ("someone/paintings", "someone/my-model"):
        assert "tells of no family" in problem(name)
    assert resolve_base("me/Z_Image_Turbo_portrait").distilled and resolve_base("me/sdxl-toons").family in FAMILIES
    assert not resolve_base("someone/FLUX.2-klein-anime").distilled and resolve_base("me/flux2-anime").source.guessed


def test_misspelt_names_are_put_right():
    assert "did you mean 'starter'" in problem("startr")
    assert "did you mean 'flux2-klein-base-4b'" in problem("flux2-klein-base4b")
    assert all(name in problem("zzz") for name in CARDS)
    assert "did you mean" not in problem("zzz")


def test_folders_that_are_no_models(tmp_path: Path):
    assert problem(str(tmp_path / "none")).startswith(f"base: no folder or file at {tmp_path / 'none'}")
    assert problem("./none", tmp_path).startswith(f"base: no folder or file at {tmp_path / 'none'}")
    assert "expected model_index.json" in problem(str(tmp_path))
    other = problem(str(model_folder(tmp_path / "sd", _class_name="PixArtSigmaPipeline")))
    assert "holds a PixArtSigmaPipeline" in other and CARDS["starter"].pipeline in other


@pytest.mark.parametrize("content", ["{", "[]", "\x00"])
def test_a_damaged_index(tmp_path: Path, content: str):
    folder = model_folder(tmp_path / "m")
    (folder / "model_index.json").write_text(content)
    assert problem(str(folder)).startswith(f"base: {folder / 'model_index.json'} ")
