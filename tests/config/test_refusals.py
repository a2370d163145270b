"""What reading refuses: place, setting, what is wrong, and the way out."""

from pathlib import Path

import pytest

from likeness.config.load import read_config
from likeness.errors import InputError
from tests.config.conftest import SMALLEST, Read, Refuse


@pytest.mark.parametrize(
    ("added", "problem"),
    [
        ("lora: {rnak: 3}", "lora.rnak: no such setting; did you mean 'rank'?"),
        ("lr: 3", "lr: no such setting; did you mean 'optim.learning_rate'?"),
        ("epochs: 3", "epochs: no such setting; did you mean 'train.epochs'?"),
        ("train: {learning_rat: 3}", "train.learning_rat: no such setting; did you mean 'optim.learning_rate'?"),
        ("train: {epochs: 0}", "train.epochs: should be at least 1 (got 0)"),
        ("train: {epochs: 2.5}", "train.epochs: should be a whole number (got 2.5)"),
        ("train: {epochs: many}", "train.epochs: should be a whole number (got 'many')"),
        ("train: {epochs: true}", "train.epochs: should be a whole number (got true)"),
        ("train: {ema_decay: 1}", "train.ema_decay: should be less than 1 (got 1)"),
        ("lora: {alpha: 0}", "lora.alpha: should be more than 0 (got 0)"),
        ("lora: {rank: 2000}", "lora.rank: should be at most 1024 (got 2000)"),
        ("lora: {dropout: .nan}", "lora.dropout: should be a finite number (got nan)"),
        ("optim: {learning_rate: .inf}", "optim.learning_rate: should be a finite number (got inf)"),
        ("trigger: 2024", "trigger: should be text (got 2024); put it in quotes"),
        ("trigger: {a: b}", "trigger: should be text (got a group of settings)"),
        ("lora: 16", "lora: should be a group of settings (got 16)"),
        ("sampling: {prompts: a cat}", "sampling.prompts: should be a list (got 'a cat'); write it as [a cat]"),
        ("sampling: {max_prompts: 0}", "sampling.max_prompts: should be at least 1 (got 0)"),
        (
            "lora: {rank: '8'}",
            "lora.rank: should be a whole number (got '8'); write it as a plain number, without quotes",
        ),
        (
            "optim: {schedule: cosin}",
            "optim.schedule: should be 'constant', 'linear' or 'cosine' (got 'cosin'); did you mean 'cosine'?",
        ),
        (
            "hardware: {device: gpu}",
            "hardware.device: should be 'auto', 'cpu', 'cuda', a numbered one such as 'cuda:1', or 'mps' (got 'gpu')",
        ),
        (
            "sampling: {prompts: [a, b, c, d, e]}",
            "sampling.prompts: 5 prompts are drawn at every epoch, more than sampling.max_prompts (4); "
            "raise sampling.max_prompts to 5 if that is meant",
        ),
    ],
)
def test_a_wrong_setting(refuse: Refuse, added: str, problem: str):
    assert refuse(SMALLEST + added) == [f"maya.yaml:5: {problem}"]


@pytest.mark.parametrize(
    ("override", "start"),
    [
        ("data.hold_out=-1", "should be 'auto', or at least 0 (got -1)"),
        ("data.hold_out=some", "should be 'auto', or a whole number (got 'some')"),
        ("lora.targets='to_('", "should be 'attention', 'all' or a regular expression ("),
        ("lora.exclude='to_('", "should be a regular expression ("),
        ("lora.targets=''", "should be at least 1 character long (got '')"),
        ("name=.hidden", "should be letters, digits, '.', '_' and '-', and should not start with '.' (got '.hidden')"),
        ("name=a/b", "should be letters, digits, "),
        ("data.datasets=[]", "should be a list with at least 1 entry (got an empty list)"),
        ("data.datasets=photos", "should be a list (got 'photos'); write it as [photos]"),
        ("data.datasets.0=", "should be a group of settings (got nothing)"),
        ("data.datasets.0.repeats=0", "should be at least 1 (got 0)"),
        ("data.datasets.3.repeats=1", "data.datasets has 1 of them, counted from 0; to set the whole list: "),
        ("sampling.prompts.0=x", "sampling.prompts is empty; to set the whole list: --set 'sampling.prompts=[…]'"),
        ("data.datasets.repeats=1", "data.datasets is a list; say which entry, for example data.datasets.0"),
        ("train.epohcs=3", "no such setting; did you mean 'epochs'?"),
        ("name.first=x", "no such setting"),
        ("train.0=x", "no such setting"),
        ("nothing.like.it=x", "no such setting; known here are name, kind, base"),
        ("description=[a", "not valid YAML: "),
        ("description=*a", "not valid YAML: a value that starts with '*' would be an alias"),
    ],
)
def test_a_wrong_override(refuse: Refuse, override: str, start: str):
    (problem,) = refuse(SMALLEST, override)
    assert problem.startswith(f"--set {override.partition('=')[0]}: {start}")


def test_an_override_below_what_is_no_group(refuse: Refuse):
    assert refuse(SMALLEST + "lora: 3", "lora.rank=3") == ["maya.yaml:5: lora: should be a group of settings"]


def test_a_setting_given_twice_in_an_override(refuse: Refuse):
    assert refuse(SMALLEST, "lora={rank: 1, rank: 2}") == ["--set lora.rank: is set twice; remove one"]


@pytest.mark.parametrize("override", ["train.epochs", "=3", ""])
def test_an_override_without_key_or_value(refuse: Refuse, override: str):
    (problem,) = refuse(SMALLEST, override)
    assert "should be of the form key=value" in problem


def test_all_problems_are_told_in_the_order_of_the_file(refuse: Refuse):
    text = "name: maya\ntrain:\n  epochs: 0\n  batch: 3\nbase: startr\ndata:\n  datasets:\n    - repeats: 3\n"
    starts = [problem.split(": ")[:2] for problem in refuse(text)]
    assert starts == [
        ["maya.yaml:3", "train.epochs"],
        ["maya.yaml:4", "train.batch"],
        ["maya.yaml:5", "base"],
        ["maya.yaml:8", "data.datasets.0.path"],
    ]


def test_missing_settings_say_what_they_are_for(refuse: Refuse):
    problems = refuse("trigger: x\n")
    assert [p.split(" is missing. ")[0] for p in problems] == [
        "maya.yaml: name:",
        "maya.yaml: base:",
        "maya.yaml: data.datasets:",
    ]
    assert problems[1].endswith("or the folder of an earlier run, for the base it had.")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "maya.yaml: is empty"),
        ("# only a comment\n", "maya.yaml: is empty"),
        ("- a\n- b\n", "maya.yaml: should be settings of the form 'name: value'"),
        ("just text", "maya.yaml: should be settings of the form 'name: value'"),
        ("name: a\nname: b\n", "maya.yaml:2: name: is set twice, first at maya.yaml:1; remove one"),
        ("lora:\n  rank: 1\n  rank: 2\n", "maya.yaml:3: lora.rank: is set twice, first at maya.yaml:2; remove one"),
        ("name: a\n\ttrigger: b\n", "maya.yaml:2: not valid YAML: "),
        ("name: a: b\n", "maya.yaml:1: not valid YAML: mapping values are not allowed here; put text that contains"),
        ("name: [a\n", "maya.yaml:2: not valid YAML: "),
        ("name: !who x\n", "maya.yaml:1: not valid YAML: could not determine a constructor for the tag '!who'"),
        ("name: !!int x\n", "maya.yaml:1: not valid YAML: the tag 'tag:yaml.org,2002:int' does not fit the value"),
        ("name: &n a\ntrigger: *n\n", "maya.yaml:2: not valid YAML: a value that starts with '*' would be an alias"),
        ("name: a\n---\nname: b\n", "maya.yaml:2: not valid YAML: but found another document; one file holds one run"),
        ("? [a]\n: b\n", "maya.yaml:1: a setting's name should be a word"),
        ("name: {{trigger}}\n", "maya.yaml:1: a setting's name should be a word"),
        ("a: " + "[" * 5000, "maya.yaml: is nested too deep"),
        ("name: \x07\n", "maya.yaml: not valid YAML: "),
    ],
)
def test_what_is_not_a_settings_file(refuse: Refuse, text: str, problem: str):
    (found,) = refuse(text)
    assert found.startswith(problem)


def test_files_that_cannot_be_read(tmp_path: Path):
    def problem(path: Path) -> str:
        with pytest.raises(InputError) as error:
            read_config(path)
        return str(error.value)

    (tmp_path / "latin.yaml").write_bytes("trigger: Zoë".encode("latin-1"))
    assert problem(tmp_path / "none.yaml") == (
        f"{tmp_path / 'none.yaml'}: no such file; give the path of a YAML file with settings"
    )
    assert problem(tmp_path) == f"{tmp_path}: is a folder; give the YAML file with the settings"
    assert problem(tmp_path / "latin.yaml").startswith("latin.yaml: is not UTF-8 text (byte 12)")


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path):
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbf" + SMALLEST.encode())
    assert read_config(tmp_path / "a.yaml").config.name == "maya"


@pytest.mark.parametrize("text", ["9" * 5000, "1" * 99 + "e9999"])
def test_numbers_beyond_reason(refuse: Refuse, text: str):
    (problem,) = refuse(SMALLEST + f"train: {{seed: {text}}}")
    assert problem.startswith("maya.yaml:5: train.seed: should be a whole number")


@pytest.mark.parametrize(
    ("base", "added", "problem"),
    [
        (
            "starter",
            "optim: {text_encoder_learning_rate: 1e-5}",
            "optim.text_encoder_learning_rate: Likeness starter does ",
        ),
        (
            "sdxl",
            "optim: {optimizer: prodigy, learning_rate: 1, text_encoder_learning_rate: 0.5}",
            "optim.text_encoder_learning_rate: should be 1 like optim.learning_rate, or 0",
        ),
        (
            "starter",
            "lora: {type: loha, dropout: 0.1}",
            "lora.dropout: 'loha' has no input to switch off",
        ),
        ("starter", "preserve: {weight: 1}", "preserve.weight: needs a trigger to leave out of the captions"),
        ("starter", "preserve: {class_word: a girl}", "preserve.class_word: does nothing without preserve.weight"),
        (
            "starter",
            "hardware: {quantize: nf4}\nlora: {type: lokr}",
            "hardware.quantize: 'lokr' needs weights in their plain shape",
        ),
        (
            "starter",
            "sampling: {width: 130}",
            "sampling.width: should be a multiple of 16 with Likeness starter (got 130)",
        ),
        (
            "starter",
            "sampling: {prompts: [{prompt: a, height: 100}]}",
            "sampling.prompts.0.height: should be a multiple",
        ),
        (
            "flux2-klein-4b",
            "sampling: {negative_prompt: bad}",
            "sampling.negative_prompt: FLUX.2 klein 4B (distilled) takes",
        ),
    ],
)
def test_settings_that_do_not_suit_the_base(refuse: Refuse, base: str, added: str, problem: str):
    (found,) = refuse(SMALLEST.replace("starter", base) + added)
    assert found.startswith(f"maya.yaml:5: {problem}")


def test_a_text_encoder_rate_of_zero_or_unset_is_fine(read: Read):
    assert read(SMALLEST, "optim.text_encoder_learning_rate=0").config.optim.text_encoder_learning_rate == 0
    assert read(SMALLEST).config.optim.text_encoder_learning_rate is None


def test_an_unknown_base_is_told_at_its_line(refuse: Refuse):
    (problem,) = refuse(SMALLEST.replace("starter", "startr"))
    assert problem.startswith("maya.yaml:2: base: no base model called 'startr'; did you mean 'starter'?")
    (problem,) = refuse(SMALLEST, "base=./nowhere")
    assert problem.startswith("--set base: no folder or file at ")


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["caption_endpoint=localhost:11434"], "should be an address such as http://127.0.0.1:11434"),
        (["enable_captioning=true", "caption_endpoint=http://127.0.0.1:11434"], "needs the name of a model too"),
        (["caption_timeout=4000"], "should be at most 3600 (got 4000)"),
    ],
)
def test_captioners_of_detail_crops_are_checked_with_the_settings(refuse: Refuse, overrides: list[str], problem: str):
    (told,) = refuse(SMALLEST, *(f"data.detail_crops.{o}" for o in overrides))
    assert f"data.detail_crops.{overrides[-1].split('=')[0]}" in told and problem in told
