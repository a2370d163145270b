import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likeness.errors import InputError
from likeness.lora import provenance
from likeness.studio.lora_file import MOST_HEADER_BYTES, MOST_TENSORS, read_facts
from tests.tiny_lora import header_of, own_metadata, tiny_tensors, write_lora, write_raw

KOHYA = {
    "ss_output_name": "ada", "ss_sd_model_name": "flux-dev.safetensors", "ss_base_model_version": "flux1",
    "ss_training_comment": "trigger: ada_char", "ss_epoch": "7",
}  # fmt: skip


def written(path: Path, change: Any, metadata: dict[str, str] | None = None) -> Path:
    """A sound file, with its header's rows changed by `change`, which may return them anew, or as bytes."""
    rows, data = header_of(tiny_tensors(), own_metadata() if metadata is None else metadata)
    told = change(rows) or rows
    return write_raw(path, told if isinstance(told, bytes) else json.dumps(told).encode(), data)


def first(rows: dict[str, Any]) -> dict[str, Any]:
    return rows["transformer.transformer_blocks.0.attn.to_q.lora_A.weight"]


def test_a_file_of_our_own_tells_all(tmp_path: Path) -> None:
    facts = read_facts(write_lora(tmp_path / "a.safetensors"))
    assert (facts.base, facts.family, facts.trigger) == ("starter", "flux2", "mika_char")
    assert (facts.name, facts.rank, facts.type, facts.epoch, facts.tensors) == ("mika", 4, "lora", 1, 4)


def test_files_of_others_tell_what_they_can(tmp_path: Path) -> None:
    facts = read_facts(write_lora(tmp_path / "a.safetensors", metadata=KOHYA))
    assert (facts.name, facts.trigger, facts.epoch) == ("ada", "ada_char", 7)
    assert (facts.base, facts.base_words, facts.family) == ("", "flux-dev.safetensors", "flux1")
    nothing = read_facts(write_lora(tmp_path / "b.safetensors", metadata={}))
    assert (nothing.name, nothing.base, nothing.family, nothing.trigger, nothing.epoch) == ("", "", "", "", None)


@pytest.mark.parametrize(
    "metadata",
    [own_metadata(), KOHYA, {}, {"trained_words": '["a", "b"]', "modelspec.title": "T"}, {"likeness": "no json"}],
)
def test_this_and_the_worker_read_the_same_words(tmp_path: Path, metadata: dict[str, str]) -> None:
    facts = read_facts(write_lora(tmp_path / "a.safetensors", metadata=metadata))
    assert facts.name == provenance.name_of(metadata)
    assert facts.base_words == provenance.base_of(metadata)
    assert facts.trigger == provenance.trigger_of(metadata)


def test_the_type_is_told_by_the_tensors(tmp_path: Path) -> None:
    for end, kind in (("lokr_w1", "lokr"), ("hada_w1_a", "loha")):
        rows, data = header_of({f"lora_unet_a.{end}": np.zeros((2, 2), np.float16)}, {})
        assert read_facts(write_raw(tmp_path / kind, json.dumps(rows).encode(), data)).type == kind
    rows, data = header_of({**tiny_tensors(), "a.lora_magnitude_vector": np.zeros(4, np.float16)}, {})
    assert read_facts(write_raw(tmp_path / "dora", json.dumps(rows).encode(), data)).type == "dora"
    assert read_facts(write_lora(tmp_path / "rs", metadata=own_metadata(type="rslora"))).type == "rslora"


def second(rows: dict[str, Any]) -> dict[str, Any]:
    return rows["transformer.transformer_blocks.0.attn.to_q.lora_B.weight"]


HOSTILE: dict[str, tuple[Any, str]] = {
    "an array": (lambda r: b"[1, 2]", "tells of no tensors"),
    "no json": (lambda r: b"{not json}", "no JSON"),
    "deep nesting": (lambda r: b"[" * 100_000 + b"]" * 100_000, "no JSON"),
    "half a character": (lambda r: b'{"\xff": 1}', "no JSON"),
    "a name twice": (lambda r: json.dumps(r)[:-1].encode() + b', "__metadata__": {}}', "twice"),
    "no tensors": (lambda r: {"__metadata__": {}}, "holds 0 tensors"),
    "metadata that are no text": (lambda r: {**r, "__metadata__": {"a": 1}}, "metadata that are not text"),
    "metadata that are a list": (lambda r: {**r, "__metadata__": []}, "metadata that are not text"),
    "a tensor that is no object": (lambda r: {**r, "x": 3}, "no sound description of tensor 'x'"),
    "a field too many": (lambda r: first(r).update(more=1), "no sound description"),
    "an unknown number format": (lambda r: first(r).update(dtype="I64"), "holds numbers in I64"),
    "a negative side": (lambda r: first(r).update(shape=[-4, -16]), "no sound description"),
    "a fraction for a side": (lambda r: first(r).update(shape=[4.0, 16]), "no sound description"),
    "true for a side": (lambda r: first(r).update(shape=[True, 64]), "no sound description"),
    "a huge side": (lambda r: first(r).update(shape=[1 << 60, 16]), "no sound description"),
    "a size that does not fit": (lambda r: first(r).update(shape=[4, 17]), "no sound description"),
    "offsets backwards": (lambda r: first(r).update(data_offsets=[128, 0]), "no sound description"),
    "an overlap": (lambda r: second(r).update(data_offsets=[0, 128]), "other data"),
    "a hole": (lambda r: {k: v for k, v in r.items() if "to_q.lora_B" not in k}, "other data"),
    "a path for a name": (lambda r: {("../../etc/x" if "to_k.lora_B" in k else k): v for k, v in r.items()},
                          "which no LoRA does"),
    "a control sign in a name": (lambda r: {("a\x1b[2J" if "to_k.lora_B" in k else k): v for k, v in r.items()},
                                 "which no LoRA does"),
    "no LoRA": (lambda r: {k.replace("lora_", "weight_"): v for k, v in r.items()}, "holds no LoRA"),
    "too many tensors": (lambda r: {str(n): {} for n in range(MOST_TENSORS + 1)}, "which no LoRA does"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_are_refused(tmp_path: Path, name: str) -> None:
    change, words = HOSTILE[name]
    with pytest.raises(InputError, match=words) as caught:
        read_facts(written(tmp_path / "a.safetensors", change))
    assert "Fix:" in str(caught.value) and "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cut off"),
        (b"1234567", "cut off"),
        (struct.pack("<Q", 1 << 63) + b"{}", "cut off"),
        (struct.pack("<Q", 100) + b"{}", "cut off"),
        (struct.pack("<Q", MOST_HEADER_BYTES + 1) + b" " * (MOST_HEADER_BYTES + 1), "header of"),
        (b"PK\x03\x04" + b"\0" * 100, "pickle or an archive"),
        (b"\x80\x02}q\x00." + b"\0" * 100, "pickle or an archive"),
    ],
)
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_facts(path)


def test_a_length_that_looks_like_a_pickle_is_no_matter(tmp_path: Path) -> None:
    rows, data = header_of(tiny_tensors(), {"a": "b"})
    header = json.dumps(rows).encode()
    path = write_raw(tmp_path / "a.safetensors", header.ljust(0x0280), data)
    assert path.read_bytes().startswith(b"\x80\x02") and read_facts(path).tensors == 4


@pytest.mark.parametrize("cut", [1, 100, 700])
def test_a_file_that_is_cut_off_or_too_long_is_refused(tmp_path: Path, cut: int) -> None:
    path = write_lora(tmp_path / "a.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    with pytest.raises(InputError, match="Fix: copy or download it again"):
        read_facts(path)
    path.write_bytes(whole + b"x" * cut)
    with pytest.raises(InputError, match="other data"):
        read_facts(path)


def test_what_a_stranger_writes_is_one_line_and_not_endless(tmp_path: Path) -> None:
    metadata = {"modelspec.title": "a\nb\x1b[31m" + "c" * 10_000, "ss_note": "x" * 10_000}
    facts = read_facts(write_lora(tmp_path / "a.safetensors", metadata=metadata))
    assert "\n" not in facts.name and "\x1b" not in facts.name and len(facts.name) <= 2000
    assert len(facts.metadata["ss_note"]) <= 2000
