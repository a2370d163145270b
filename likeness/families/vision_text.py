"""Texts and pictures as Qwen's vision language models read them, without torchvision.

`Qwen2VLProcessor` and `Qwen3VLProcessor` of transformers bring a video processor that cannot be made without
torchvision, even where only text is read. The image half needs none of it.
"""

from collections.abc import Sequence
from typing import Any

from PIL import Image
from torch import Tensor
from transformers import AutoTokenizer, BatchFeature
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from likeness.errors import InputError
from likeness.families.parts import Parts

IMAGE_TOKEN = "<|image_pad|>"


def read_vision_text(parts: Parts, name: str = "processor", *, pictures: bool = True) -> "VisionText":
    """From a base's processor folder; its picture settings are left alone where `pictures` is False.

    Raises InputError when its files are missing or broken.
    """
    image_processor = parts.other(name, Qwen2VLImageProcessorPil) if pictures else None
    return VisionText(parts.other(name, AutoTokenizer), image_processor)


class VisionText:
    """Takes the place of a Qwen VL processor in stock pipelines: same call, same ids, masks and grids.

    Pixel values differ by up to 0.015 of their standard deviation from the torchvision resize that processors prefer.
    """

    def __init__(self, tokenizer: Any, image_processor: Qwen2VLImageProcessorPil | None = None):
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.image_token_id = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)

    def __call__(
        self,
        text: str | Sequence[str],
        images: Image.Image | Sequence[Image.Image] | None = None,
        *,
        padding: bool | str = True,
        padding_side: str | None = None,
        return_tensors: str = "pt",
    ) -> BatchFeature:
        """`input_ids`, `attention_mask` and `mm_token_type_ids` (1 at picture tokens), each (B, L).

        With `images`: also `pixel_values` (patches, values) and `image_grid_thw` (images, 3), both in the order in
        which the texts' <|image_pad|> ask for them; each becomes as many tokens as its picture takes. Raises
        InputError where there are more or fewer of them than pictures.
        """
        texts = [text] if isinstance(text, str) else list(text)
        pictures = [images] if isinstance(images, Image.Image) else list(images or ())
        seen: dict[str, Any] = {}
        if pictures:
            if self.image_processor is None:
                raise RuntimeError("this model's picture settings were not read")
            seen = dict(self.image_processor(images=pictures, return_tensors=return_tensors))
        texts = self._with_room(texts, [int(grid.prod()) for grid in seen.get("image_grid_thw", ())])
        read = self.tokenizer(texts, padding=padding, padding_side=padding_side, return_tensors=return_tensors)
        kinds = (read["input_ids"] == self.image_token_id).long()
        return BatchFeature({**read, "mm_token_type_ids": kinds, **seen})

    def apply_chat_template(
        self, messages: Sequence[dict[str, Any]], *, tokenize: bool = False, return_dict: bool = False, **options: Any
    ) -> str | list[list[int]]:
        """One conversation as text, or with `tokenize` as a list of one row of ids. `return_dict` is not served."""
        text = self.tokenizer.apply_chat_template(list(messages), tokenize=False, **options)
        if return_dict or not isinstance(text, str):
            raise NotImplementedError("only the text or the ids of one conversation can be asked for")
        return [self.tokenizer(text)["input_ids"]] if tokenize else text

    def _with_room(self, texts: Sequence[str], patches: Sequence[int]) -> list[str]:
        """Every <|image_pad|> repeated for the tokens of its picture. `patches`: how many each picture was cut into."""
        asked = sum(text.count(IMAGE_TOKEN) for text in texts)
        if asked != len(patches):
            raise InputError(
                f"a text asks for {asked} pictures and there are {len(patches)}: {IMAGE_TOKEN} stands for a picture. "
                "Fix: take it out of the caption or prompt"
            )
        merged = self.image_processor.merge_size**2 if self.image_processor else 1
        waiting = iter(patches)
        roomy: list[str] = []
        for text in texts:
            first, *rest = text.split(IMAGE_TOKEN)
            roomy.append(first + "".join(IMAGE_TOKEN * (next(waiting) // merged) + part for part in rest))
        return roomy


def after_pictures(kinds: Tensor) -> int:
    """The place behind the last picture's tokens in `mm_token_type_ids` (L,); 0 where there are none."""
    found = kinds.nonzero()
    return int(found[-1]) + 1 if len(found) else 0
