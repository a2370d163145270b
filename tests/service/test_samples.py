from pathlib import Path

import pytest

from likeness.errors import InputError
from likeness.service import samples
from likeness.service.numbers import parse_numbers
from likeness.service.samples import LoraUse, SampleJob


@pytest.mark.parametrize(
    ("text", "name", "strength"),
    [
        ("a.safetensors", "a.safetensors", 1.0),
        ("a.safetensors:0.5", "a.safetensors", 0.5),
        ("a.safetensors:-1", "a.safetensors", -1.0),
        ("odd:0.7", "odd:0.7", 1.0),
        ("odd:0.7:0.2", "odd:0.7", 0.2),
    ],
)
def test_a_lora_and_its_strength(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, name: str, strength: float
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("a.safetensors", "odd:0.7"):
        (tmp_path / file).touch()
    assert LoraUse.parse(text) == LoraUse(tmp_path / name, strength)


@pytest.mark.parametrize(("text", "numbers"), [("3", [3]), ("3,7", [3, 7]), ("1-3, 9", [1, 2, 3, 9]), ("0", [0])])
def test_numbers(text: str, numbers: list[int]) -> None:
    assert parse_numbers("--seed", text) == numbers


@pytest.mark.parametrize("text", ["", "a", "1,,2", "-3", "1-", "1.5"])
def test_what_is_no_list_of_numbers(text: str) -> None:
    with pytest.raises(InputError, match=r"--seed: .* Fix"):
        parse_numbers("--seed", text)


def test_jobs_of_one_second_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders: list[Path] = []
    monkeypatch.setattr(samples, "begin", lambda order, folder: folders.append(order.write(folder)))
    monkeypatch.setattr(samples.time, "strftime", lambda _: "20260101-000000")
    for _ in range(3):
        samples.start(SampleJob("starter", ("x",)), tmp_path)
    assert [f.name for f in folders] == ["20260101-000000", "20260101-000000_2", "20260101-000000_3"]
