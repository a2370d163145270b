"""`likeness prompts`: by rules, and by a language model whose answer is checked."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from likeness.dataset.prompts import SLOTS
from tests.captioning.server import Reply, free_address, said, serving
from tests.cli.conftest import Answer
from tests.tiny_run import write_pairs

Likeness = Callable[..., Answer]
MIKA = Path(__file__).resolve().parents[2] / "examples" / "character" / "mika"
GOOD = {
    "baseline": "mika_char smiling in a meadow",
    "unseen pose": "mika_char climbing a ladder",
    "new environment": "mika_char in a desert",
    "other framing": "mika_char seen from far above",
    "control": "a girl in a desert",
}


def prompts_in(answer: Answer) -> dict[str, str]:
    return {idea["slot"]: idea["prompt"] for idea in answer.json["ideas"]}


def test_a_folder_and_its_settings_give_the_same(likeness: Likeness) -> None:
    folder, settings = likeness("prompts", MIKA, "--json"), likeness("prompts", MIKA.with_suffix(".yaml"), "--json")
    assert folder.code == settings.code == 0 and prompts_in(folder) == prompts_in(settings)
    assert folder.json["trigger"] == "mika_char" and "--trigger" in folder.json["notes"][0]
    assert settings.json["notes"] == [] and settings.json["author"] == "rules"


def test_the_settings_can_be_pasted(likeness: Likeness, tmp_path: Path) -> None:
    answer = likeness("prompts", MIKA)
    block = answer.out[answer.out.index("sampling:") :]
    assert len(yaml.safe_load(block)["sampling"]["prompts"]) == len(SLOTS)
    edit = likeness("prompts", write_pairs(tmp_path / "pairs", 2))
    block = edit.out[edit.out.index("sampling:") : edit.out.index("Put pictures")]
    assert all(p["reference"] == "SOURCE.png" for p in yaml.safe_load(block)["sampling"]["prompts"])


def test_a_language_model_is_asked_and_its_prompts_are_taken(likeness: Likeness) -> None:
    with serving(Reply(said(json.dumps(GOOD)))) as server:
        answer = likeness("prompts", MIKA, "--llm", server.url, "--model", "small", "--json")
    assert prompts_in(answer) == GOOD and answer.json["author"] == "small"
    (asked,) = server.received
    assert asked.path == "/v1/chat/completions" and asked.body["model"] == "small"
    assert "mika_char, smiling" in json.dumps(asked.body["messages"])


def test_bad_answers_fall_back_to_the_rules(likeness: Likeness) -> None:
    rules = prompts_in(likeness("prompts", MIKA, "--json"))
    half = {**GOOD, "control": "mika_char again", "unseen pose": ""}
    with serving(Reply(said(json.dumps(half))), Reply(said("I cannot help with that."))) as server:
        words = ["prompts", MIKA, "--llm", f"{server.url}/v1", "--model", "small", "--json"]
        some, none = likeness(*words), likeness(*words)
    assert prompts_in(some) == {**GOOD, "control": rules["control"], "unseen pose": rules["unseen pose"]}
    assert sum("not used" in note for note in some.json["notes"]) == 2
    assert prompts_in(none) == rules and none.json["author"] == "rules" and "no JSON" in none.json["notes"][-1]


def test_a_server_that_refuses_or_is_gone_leaves_the_rules(likeness: Likeness, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Reply({"error": {"message": "no such model"}}, status=404)) as server:
        answer = likeness("prompts", MIKA, "--llm", server.url, "--model", "small", "--json")
    assert answer.code == 0 and "no such model" in answer.json["notes"][-1]
    gone = likeness("prompts", MIKA, "--llm", free_address(), "--model", "small", "--timeout", "1", "--json")
    assert gone.code == 0 and len(prompts_in(gone)) == len(SLOTS) and "cannot be reached" in gone.json["notes"][-1]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nowhere"], "no such folder"),
        ([MIKA, "--kind", "song"], "--kind"),
        ([MIKA, "--model", "small"], "--llm"),
        ([MIKA, "--llm", "http://127.0.0.1:1"], "--model"),
        ([MIKA, "--llm", "not an address", "--model", "small"], "--llm"),
        (
            [MIKA, "--llm", "http://127.0.0.1:1", "--model", "m", "--api-key-env", "NOT_SET_ANYWHERE"],
            "NOT_SET_ANYWHERE",
        ),
    ],
)
def test_refusals(likeness: Likeness, words: list[object], why: str) -> None:
    answer = likeness("prompts", *words)
    assert answer.code == 2 and why in answer.error


def test_a_folder_without_pictures(likeness: Likeness, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    answer = likeness("prompts", tmp_path / "empty")
    assert answer.code == 2 and "Fix:" in answer.error
