"""Models run here, in the real classes of transformers with random weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from likeness.captioning import local
from likeness.captioning.engine import Engine, Look, Written, open_engine
from likeness.captioning.protocol import Answer, Ask, CaptionFailed
from likeness.config.caption import CaptionConfig
from likeness.errors import InputError
from likeness.lora.io import write_tensors
from tests.captioning import checkpoints

PICTURES = [Image.effect_noise((30 + 20 * i, 40), 90).convert("RGB") for i in range(3)]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise has no end of its own."""
    monkeypatch.setattr(local, "answer_tokens", lambda _: 40)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A checkpoint of a kind, made once."""
    root = tmp_path_factory.mktemp("checkpoints")
    return lambda kind: root / kind if (root / kind).exists() else checkpoints.make(kind, root / kind)


def open_vlm(folder: Path, **settings: Any) -> Engine:
    config = {"device": "cpu", "precision": "fp32", "max_words": 4, "parallel": 2, **settings}
    return open_engine(CaptionConfig(engine="vlm", model=str(folder), **config))


@pytest.mark.parametrize("kind", checkpoints.KINDS)
def test_every_kind_writes_the_same_alone_and_in_batches(made: Callable[[str], Path], kind: str):
    engine = open_vlm(made(kind))
    results = dict(engine.stream(range(3), lambda n: Look((PICTURES[n],))))
    assert all(isinstance(r, Written) and r.text for r in results.values())
    alone = [engine.caption([picture]) for picture in PICTURES]
    assert alone == [r.text for r in results.values() if isinstance(r, Written)]
    assert engine.captioner.abilities.takes_prompts == (kind in ("qwen2.5-vl", "qwen3-vl", "llava"))


@pytest.mark.parametrize(("kind", "pictures"), [("qwen2.5-vl", "image_grid_thw"), ("llava", "pixel_values")])
def test_chat_models_are_shown_pairs_and_asked(made: Callable[[str], Path], kind: str, pictures: str):
    captioner: Any = open_vlm(made(kind), kind="edit").captioner
    asks = [Ask(tuple(PICTURES[:2]), "Be short.", prompt) for prompt in ("What changed?", "What stayed, and why?")]
    inputs = captioner._reader.read(asks)
    assert len(inputs[pictures]) == 4
    assert inputs["attention_mask"][:, -1].tolist() == [1, 1] and inputs["attention_mask"][:, 0].tolist() == [0, 1]
    for ask, text in zip(asks, captioner._reader.texts(inputs["input_ids"]), strict=True):
        assert text.index("Be short.") < text.index(ask.prompt)
    assert all(answer.text and "What" not in answer.text for answer in captioner.answer(asks))  # only what is new


def test_models_without_prompts_refuse_pairs_and_tell_of_unused_options(made: Callable[[str], Path]):
    with pytest.raises(InputError, match="looks at one picture and cannot write instructions"):
        open_vlm(made("blip"), kind="edit")
    assert "takes no prompts: --system made no difference" in open_vlm(made("git"), system="Be short.").notes[0]
    assert open_vlm(made("florence-2"), prompt="<CAPTION>").notes == []


def test_the_shipped_engine_captions_and_instructs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By stand-ins for the shipped ones; that those write sense is measured where they are made."""
    torch.manual_seed(0)
    checkpoints.encoder_decoder(tmp_path / "captioner")
    torch.manual_seed(0)
    checkpoints.encoder_decoder(tmp_path / "instructor", width=2 * checkpoints.SIDE)
    monkeypatch.setattr(local, "COMPANIONS", tmp_path)
    config = CaptionConfig(trigger="mika_char", device="cpu")
    assert open_engine(config).caption(PICTURES[:1]).startswith("mika_char, ")
    instructor = open_engine(config.model_copy(update={"kind": "edit", "trigger": ""}))
    seen = instructor.captioner._reader.read([Ask(tuple(PICTURES[:2]), "", "")])["pixel_values"]  # type: ignore[attr-defined]
    before, after = (
        torch.from_numpy(np.array(p.resize((32, 32), Image.Resampling.BICUBIC).convert("L"), dtype=np.float32))
        for p in PICTURES[:2]
    )
    grey = (seen[0, 0] * 127.5 + 127.5).round()
    assert torch.allclose(grey, torch.cat([before, after], dim=1), atol=1)
    assert instructor.caption(PICTURES[:2])
    with pytest.raises(InputError, match="shipped engine has a model of its own"):
        open_engine(CaptionConfig(model="other"))
    monkeypatch.setattr(local, "COMPANIONS", tmp_path / "gone")
    with pytest.raises(InputError, match="shipped captioner cannot be loaded"):
        open_engine(config)


def test_stopping_ends_what_is_being_written(made: Callable[[str], Path]):
    captioner = open_vlm(made("qwen3-vl")).captioner
    captioner.stop()
    answer = captioner.answer([Ask((PICTURES[0],), "", "Describe.")])[0]
    assert isinstance(answer, CaptionFailed) and answer.reason == "stopped"


def test_a_full_memory_costs_only_what_is_too_large(made: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch):
    captioner = open_vlm(made("git")).captioner
    assert isinstance(captioner, local.Local)
    generate = captioner._network.generate  # type: ignore[attr-defined]

    def limited(pixel_values: torch.Tensor, **options: Any) -> torch.Tensor:
        if len(pixel_values) > 1:
            raise torch.OutOfMemoryError
        return generate(pixel_values=pixel_values, **options)

    monkeypatch.setattr(captioner._network, "generate", limited)  # type: ignore[attr-defined]
    asks = [Ask((p,), "", "") for p in PICTURES]
    assert all(isinstance(a, Answer) for a in captioner.answer(asks))


def test_what_cannot_be_loaded_is_told(made: Callable[[str], Path], tmp_path: Path):
    lacking = checkpoints.make("encoder-decoder", tmp_path / "lacking")
    weights = load_file(lacking / "model.safetensors")
    first = next(iter(weights))
    write_tensors(lacking / "model.safetensors", {k: v for k, v in weights.items() if k != first}, {"format": "pt"})
    for folder, words in ((lacking, f"1 weights are missing, such as {first}"), (tmp_path, "cannot be loaded")):
        with pytest.raises(InputError, match=words):
            open_vlm(folder)
    with pytest.raises(InputError, match="is no folder, and no repository"):
        open_vlm(tmp_path / "nowhere")
    with pytest.raises(InputError, match="name a vision language model"):
        open_engine(CaptionConfig(engine="vlm"))
