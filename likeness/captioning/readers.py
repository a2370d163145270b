"""How each kind of vision language model is shown pictures and questions."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from likeness.captioning.pictures import shrunk
from likeness.captioning.protocol import Ask
from likeness.families.vision_text import VisionText

CHATS = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe")
PLAIN = ("blip", "git", "vision-encoder-decoder")
FLORENCE_TASK = "<MORE_DETAILED_CAPTION>"


class Plain:
    """Captioners that take a picture and nothing else."""

    def __init__(self, folder: Path, side: int):
        self._pictures: Any = AutoImageProcessor.from_pretrained(folder)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self._side = side

    def read(self, asks: Sequence[Ask]) -> dict[str, Tensor]:
        shown = [self._shown(ask) for ask in asks]
        return {"pixel_values": self._pictures(images=shown, return_tensors="pt")["pixel_values"]}  # (B, 3, H, W)

    def texts(self, tokens: Tensor) -> list[str]:
        return list(self._tokenizer.batch_decode(tokens, skip_special_tokens=True))

    def _shown(self, ask: Ask) -> Image.Image:
        return shrunk(ask.pictures[-1], self._side)


class Pair(Plain):
    """The shipped instructor: the pictures before and after side by side, each resized to a half."""

    def __init__(self, folder: Path):
        super().__init__(folder, 0)

    def _shown(self, ask: Ask) -> Image.Image:
        size: Any = self._pictures.size
        half = (size["width"] // 2, size["height"])
        both = Image.new("RGB", (size["width"], size["height"]))
        for number, picture in enumerate((ask.pictures[0], ask.pictures[-1])):
            both.paste(picture.convert("RGB").resize(half, Image.Resampling.BICUBIC), (number * half[0], 0))
        return both


class Florence:
    """Florence-2: a picture and a task."""

    def __init__(self, folder: Path, side: int, task: str):
        self._processor: Any = AutoProcessor.from_pretrained(folder)
        self._side, self._task = side, task if task.startswith("<") else FLORENCE_TASK

    def read(self, asks: Sequence[Ask]) -> dict[str, Tensor]:
        pictures = [shrunk(ask.pictures[-1], self._side) for ask in asks]
        return dict(self._processor(text=[self._task] * len(asks), images=pictures, return_tensors="pt"))

    def texts(self, tokens: Tensor) -> list[str]:
        return list(self._processor.batch_decode(tokens, skip_special_tokens=True))


class Chat:
    """Chat models whose own processor works here."""

    def __init__(self, folder: Path, side: int):
        self._processor: Any = AutoProcessor.from_pretrained(folder)
        if getattr(self._processor, "chat_template", None) is None:
            raise ValueError("it is no chat model: it has no chat template")
        self._processor.tokenizer.padding_side = "left"  # the answers begin where the questions end
        self._side = side

    def read(self, asks: Sequence[Ask]) -> dict[str, Tensor]:
        try:
            return self._templated([_messages(ask, self._side) for ask in asks])
        except TemplateError:  # some templates know no system's words
            return self._templated([_messages(_joined(ask), self._side) for ask in asks])

    def _templated(self, talks: list[Any]) -> dict[str, Tensor]:
        options = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
        return dict(self._processor.apply_chat_template(talks, processor_kwargs={"padding": True}, **options))

    def texts(self, tokens: Tensor) -> list[str]:
        return list(self._processor.batch_decode(tokens, skip_special_tokens=True))


class QwenChat:
    """Qwen VL models, by a processor that does without torchvision."""

    def __init__(self, folder: Path, side: int):
        tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        if tokenizer.chat_template is None:
            tokenizer.chat_template = json.loads((folder / "chat_template.json").read_text())["chat_template"]
        self._processor = VisionText(tokenizer, Qwen2VLImageProcessorPil.from_pretrained(folder))
        self._side = side

    def read(self, asks: Sequence[Ask]) -> dict[str, Tensor]:
        talks = [_messages(ask, self._side) for ask in asks]
        texts = [self._processor.apply_chat_template(talk, add_generation_prompt=True) for talk in talks]
        pictures = [shrunk(p, self._side) for ask in asks for p in ask.pictures]
        return dict(self._processor([str(t) for t in texts], pictures, padding_side="left"))

    def texts(self, tokens: Tensor) -> list[str]:
        return list(self._processor.tokenizer.batch_decode(tokens, skip_special_tokens=True))


def _messages(ask: Ask, side: int) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = [{"type": "image", "image": shrunk(p, side)} for p in ask.pictures]
    content.append({"type": "text", "text": ask.prompt})
    told = [{"role": "system", "content": [{"type": "text", "text": ask.system}]}] if ask.system else []
    return [*told, {"role": "user", "content": content}]


def _joined(ask: Ask) -> Ask:
    return Ask(ask.pictures, "", f"{ask.system}\n\n{ask.prompt}")
