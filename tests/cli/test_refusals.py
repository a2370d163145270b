"""What cannot work is refused before anything is written: exit code 2, and one message naming place and fix."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from likeness.worker import training
from tests.cli.conftest import Answer
from tests.tiny_run import results, write_pairs

Likeness = Callable[..., Answer]


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def no_config(config: Path, pictures: Path) -> None:
    config.unlink()


def empty_config(config: Path, pictures: Path) -> None:
    config.write_text("")


def broken_yaml(config: Path, pictures: Path) -> None:
    replace_in(config, "train: {", "train: [")


def unknown_key(config: Path, pictures: Path) -> None:
    replace_in(config, "learning_rate: 0.01", "learnin_rate: 0.01")


def bad_value(config: Path, pictures: Path) -> None:
    replace_in(config, "epochs: 2", "epochs: 0")


def text_for_a_number(config: Path, pictures: Path) -> None:
    replace_in(config, "rank: 4", "rank: four")


def no_pictures(config: Path, pictures: Path) -> None:
    for file in pictures.iterdir():
        file.unlink()


def no_folder(config: Path, pictures: Path) -> None:
    replace_in(config, str(pictures), str(pictures) + "-x")


def corrupt_picture(config: Path, pictures: Path) -> None:
    path = pictures / "1.png"
    path.write_bytes(path.read_bytes()[:600])


def not_a_picture(config: Path, pictures: Path) -> None:
    (pictures / "1.png").write_text("<html>not found</html>")


def empty_caption(config: Path, pictures: Path) -> None:
    (pictures / "2.txt").write_text(" \n")


def caption_in_another_encoding(config: Path, pictures: Path) -> None:
    (pictures / "2.txt").write_bytes("tiny_char für".encode("latin-1"))


def lonely_pair(config: Path, pictures: Path) -> None:
    pairs = write_pairs(pictures.with_name("pairs"), 2)
    (pairs / "before" / "1.png").unlink()
    replace_in(config, str(pictures), str(pairs))
    replace_in(config, "trigger: tiny_char", "kind: edit")
    replace_in(config, 'prompts: ["tiny_char at sea"], width: 32, height: 32', "prompts: []")


def edit_without_source(config: Path, pictures: Path) -> None:
    pairs = write_pairs(pictures.with_name("pairs"), 2)
    replace_in(config, str(pictures), str(pairs))
    replace_in(config, "trigger: tiny_char", "kind: edit")


def edit_with_a_tiny_source(config: Path, pictures: Path) -> None:
    edit_without_source(config, pictures)
    replace_in(config, '"tiny_char at sea"', f"{{prompt: x, reference: {pictures}/1.png}}")


def no_base(config: Path, pictures: Path) -> None:
    config.write_text("\n".join("base: startr" if x.startswith("base") else x for x in config.read_text().splitlines()))


def base_folder_gone(config: Path, pictures: Path) -> None:
    config.write_text(
        "\n".join("base: ./no/such/base" if x.startswith("base") else x for x in config.read_text().splitlines())
    )


def text_encoder_rate(config: Path, pictures: Path) -> None:
    replace_in(config, "learning_rate: 0.01", "learning_rate: 0.01, text_encoder_learning_rate: 1e-5")


def hold_all_out(config: Path, pictures: Path) -> None:
    replace_in(config, "  resolution: 32", "  resolution: 32\n  hold_out: 3")


def cuda_is_not_there(config: Path, pictures: Path) -> None:
    replace_in(config, "device: cpu", "device: 'cuda:7'")


def eight_bit_on_a_cpu(config: Path, pictures: Path) -> None:
    replace_in(config, "learning_rate: 0.01", "learning_rate: 0.01, optimizer: adamw8bit")


def half_on_a_cpu(config: Path, pictures: Path) -> None:
    replace_in(config, "precision: fp32", "precision: fp16")


def targets_of_nothing(config: Path, pictures: Path) -> None:
    replace_in(config, "alpha: 2", "alpha: 2, targets: nothing_is_called_so")


REFUSED: dict[Callable[[Path, Path], None], tuple[str, ...]] = {
    no_config: ("tiny.yaml", "no such file"),
    empty_config: ("tiny.yaml", "is empty"),
    broken_yaml: ("tiny.yaml:", "not valid YAML"),
    unknown_key: ("tiny.yaml:8", "optim.learnin_rate", "did you mean 'learning_rate'"),
    bad_value: ("tiny.yaml:7", "train.epochs", "at least 1"),
    text_for_a_number: ("tiny.yaml:9", "lora.rank", "whole number"),
    no_pictures: ("tiny.yaml:5", "data.datasets.0.path", "holds no pictures"),
    no_folder: ("tiny.yaml:5", "pictures-x does not exist"),
    corrupt_picture: ("pictures/1.png", "is damaged or cut off", "Fix: replace it"),
    not_a_picture: ("pictures/1.png", "or damaged", "delete it"),
    empty_caption: ("pictures/2.txt", "the caption is empty", "delete the file"),
    caption_in_another_encoding: ("pictures/2.txt", "UTF-8"),
    lonely_pair: ("pair 1 is not whole", "before/1.png", "Fix: add the picture"),
    edit_without_source: ("tiny.yaml", "sampling.prompts.0.reference", "Fix: add `reference"),
    edit_with_a_tiny_source: ("sampling.prompts.0.reference", "32x32 is too small", "Fix: both sides at least 64"),
    no_base: ("tiny.yaml:2", "base", "did you mean 'starter'"),
    base_folder_gone: ("tiny.yaml:2", "base", "no folder or file at", "check the path"),
    text_encoder_rate: ("tiny.yaml:8", "optim.text_encoder_learning_rate", "leave this setting out"),
    hold_all_out: ("data.hold_out", "leave none to train on"),
    cuda_is_not_there: ("hardware.device", "'cuda:7' is not there", "Fix: use 'auto' or 'cpu'"),
    eight_bit_on_a_cpu: ("optim.optimizer", "needs a CUDA device", "Fix: use 'adamw'"),
    half_on_a_cpu: ("hardware.precision", "Fix: use 'bf16' or 'fp32'"),
    targets_of_nothing: ("lora.targets", "'nothing_is_called_so' matches no layer", "Fix: use 'all'"),
}


@pytest.mark.parametrize("spoil", REFUSED, ids=lambda f: f.__name__)
def test_train_refuses(
    likeness: Likeness, config: Path, pictures: Path, tmp_path: Path, spoil: Callable[[Path, Path], None]
) -> None:
    spoil(config, pictures)
    answer = likeness("train", config)
    assert answer.code == 2
    assert all(part in " ".join(answer.error.split()) for part in REFUSED[spoil]), answer.error
    assert "Traceback" not in answer.words and len(answer.error.strip().splitlines()) == 1
    assert not list((tmp_path / "runs").glob("*")), "something was left behind"

    told = likeness("train", config, "--json")
    assert told.code == told.json["exit_code"] == 2
    assert told.json["error"] == answer.error.strip() and told.error == ""


def test_all_problems_are_told_at_once(likeness: Likeness, config: Path, pictures: Path) -> None:
    corrupt_picture(config, pictures)
    empty_caption(config, pictures)
    answer = likeness("train", config)
    assert answer.code == 2 and "1.png" in answer.error and "2.txt" in answer.error
    assert len(answer.error.strip().splitlines()) == 2


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.epocs=3", "did you mean 'epochs'"),
        ("train.epochs=many", "whole number"),
        ("epochs", "key=value"),
        ("data.datasets.4.repeats=2", "counted from 0"),
    ],
)
def test_overrides_are_checked_too(likeness: Likeness, config: Path, override: str, words: str) -> None:
    answer = likeness("train", config, "--set", override)
    assert answer.code == 2 and words in answer.words and "--set" in answer.words


def test_a_name_that_is_taken(likeness: Likeness, config: Path, tmp_path: Path) -> None:
    assert likeness("train", config, "--set", "train.epochs=1").code == 0
    before = {p: p.read_bytes() for p in (tmp_path / "runs" / "tiny").rglob("*") if p.is_file()}
    answer = likeness("train", config)
    assert answer.code == 2
    assert all(part in answer.words for part in ("tiny", "is there already", "--resume", "--set name=tiny-2"))
    assert {p: p.read_bytes() for p in (tmp_path / "runs" / "tiny").rglob("*") if p.is_file()} == before


def test_what_was_in_the_folder_before_stays(likeness: Likeness, config: Path, tmp_path: Path) -> None:
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    (tmp_path / "runs" / "tiny" / "notes.txt").write_text("mine")
    assert likeness("train", config, "--set", "hardware.device=cuda:7").code == 2
    assert [p.name for p in (tmp_path / "runs" / "tiny").iterdir()] == ["notes.txt"]


class TestResume:
    @pytest.fixture
    def started(self, likeness: Likeness, config: Path, tmp_path: Path) -> Path:
        assert likeness("train", config).code == 0
        return tmp_path / "runs" / "tiny"

    def test_of_nothing(self, likeness: Likeness, config: Path, tmp_path: Path) -> None:
        answer = likeness("train", config, "--resume")
        assert answer.code == 2 and "there is no run to resume" in answer.words and "leave --resume out" in answer.words
        assert not (tmp_path / "runs").exists()

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (("rank: 4", "rank: 8"), ("tiny.yaml:9", "lora.rank was 4", "is 8 now")),
            (("0.01", "0.02"), ("optim.learning_rate was 0.01",)),
            (("at sea", "at home"), ("sampling.prompts",)),
            (("repeats: 2", "repeats: 3"), ("data.datasets",)),
        ],
    )
    def test_with_other_settings(
        self, likeness: Likeness, config: Path, started: Path, change: tuple[str, str], words: tuple[str, ...]
    ) -> None:
        before = results(started), (started / "run.json").read_bytes()
        replace_in(config, *change)
        answer = likeness("train", config, "--resume")
        assert answer.code == 2 and "another name" in answer.words
        assert all(part in answer.words for part in words), answer.words
        assert (results(started), (started / "run.json").read_bytes()) == before

    def test_with_other_epochs_under_a_schedule(self, likeness: Likeness, config: Path) -> None:
        replace_in(config, "learning_rate: 0.01", "learning_rate: 0.01, schedule: cosine")
        assert likeness("train", config).code == 0
        answer = likeness("train", config, "--resume", "--set", "train.epochs=3")
        assert answer.code == 2 and "train.epochs" in answer.words and "cosine" in answer.words

    @pytest.mark.parametrize("what", ["pixel", "caption", "new picture", "picture gone"])
    def test_with_other_data(self, likeness: Likeness, config: Path, pictures: Path, started: Path, what: str) -> None:
        if what == "pixel":
            with Image.open(pictures / "1.png") as image:
                image.putpixel((0, 0), (1, 2, 3))
                image.save(pictures / "1.png")
        elif what == "caption":
            (pictures / "1.txt").write_text("tiny_char elsewhere")
        elif what == "new picture":
            Image.new("RGB", (40, 40)).save(pictures / "new.png")
        else:
            (pictures / "1.png").unlink()
        name = "new.png" if what == "new picture" else "1.png"
        before = results(started)
        answer = likeness("train", config, "--resume")
        assert answer.code == 2 and name in answer.words and "have changed" in answer.words
        assert results(started) == before

    def test_of_a_run_that_another_process_trains(self, likeness: Likeness, config: Path, started: Path) -> None:
        with training.locked(started):
            answer = likeness("train", config, "--resume")
        assert answer.code == 2 and "another process trains this run" in answer.words
        assert answer.error.strip().count("\n") == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("compare nowhere", ("nowhere", "no such folder")),
        ("compare .", ("not a run", "run.json")),
        ("sample --base startr --prompt x", ("startr", "did you mean 'starter'")),
        ("sample --base starter --prompt x --lora gone.safetensors", ("gone.safetensors", "is not there")),
        ("sample --base starter --prompt x --lora tiny.yaml:strong", ("--lora", "'strong' is no strength")),
        ("sample --base starter --prompt x --lora tiny.yaml:nan", ("--lora", "no strength")),
        ("sample --base starter --prompt x --lora tiny.yaml", ("tiny.yaml", "not a readable safetensors file")),
        ("sample --base starter --prompt x --width 100", ("--width", "multiple of 16")),
        ("sample --base starter --prompt x --steps 0", ("--steps", "at least 1")),
        ("sample --base starter --prompt x --guidance -1", ("--guidance", "from 0")),
        ("sample --base starter --prompt x --seed one", ("--seed", "3,7 or 1-4")),
        ("sample --base starter --prompt x --seed 99999999999", ("--seed", "out of range")),
        ("sample --base starter --prompt x --seed 1,2 -o one.png", ("--output", "2 pictures", "name a folder")),
        ("sample --base starter --prompt x --reference gone.png", ("gone.png", "not there")),
        ("sample --base starter --prompt x --device gpu", ("--device",)),
        ("sample --base starter --prompt x --precision fp8", ("--precision",)),
        ("sample --base starter", ("prompt",)),
        ("train", ("config",)),
        ("trian tiny.yaml", ("trian",)),
        ("train tiny.yaml --resum", ("--resum",)),
        ("train tiny.yaml --workspace tiny.yaml", ("tiny.yaml", "Fix")),
    ],
)
def test_other_commands_refuse(
    likeness: Likeness, config: Path, tmp_path: Path, arguments: str, words: tuple[str, ...]
) -> None:
    answer = likeness(*arguments.split())
    assert answer.code == 2
    assert all(part.lower() in answer.words.lower() for part in words), answer.words
    assert "Traceback" not in answer.words
    told = likeness(*arguments.split(), "--json")
    assert told.code == 2 and told.json["exit_code"] == 2
    assert {p.name for p in tmp_path.iterdir()} <= {"tiny.yaml", "pictures", "runs"}
