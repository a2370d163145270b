"""The companions' model cards."""

import json
from collections.abc import Mapping

from starter_recipe.companions import FOLDER, LOG

_HEADS = {
    "clip": (
        "zero-shot-image-classification",
        "A miniature CLIP (`CLIPModel`): how well a caption fits a picture, and how alike two pictures are.",
        """A picture of any shape is resized to 128×128, not cropped, so nothing is lost and other shapes look a little
squashed. Texts are lower-cased and read up to 77 tokens.

```python
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

model = AutoModel.from_pretrained(folder, dtype="float32")
pixels = AutoImageProcessor.from_pretrained(folder)(picture, return_tensors="pt")
text = AutoTokenizer.from_pretrained(folder)(["a girl in a red dress"], padding=True, return_tensors="pt")
similarity = model(**pixels, **text).logits_per_image
```""",
        "Contrastively on pictures and captions, a quarter of them pairs before and after an edit, together with heads "
        "that name attributes and were thrown away.",
        "It compares what the world can show. Small things (expressions at full body, emblems, what is carried) count "
        "less than place, style and colours.",
    ),
    "captioner": (
        "image-to-text",
        "A miniature captioner (`VisionEncoderDecoderModel`: CLIP's tower and a GPT-2 decoder). It writes one full, "
        "plain caption in the words of the world.",
        """A picture of any shape is resized to 128×128, not cropped.

```python
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

model = AutoModelForImageTextToText.from_pretrained(folder, dtype="float32")
pixels = AutoImageProcessor.from_pretrained(folder)(picture, return_tensors="pt")
caption = AutoTokenizer.from_pretrained(folder).decode(model.generate(**pixels)[0], skip_special_tokens=True)
```""",
        "On pictures with plain captions that leave nothing out, starting from the vision tower of `clip`.",
        "It always answers in the words of the world, also about pictures of something else. Day, a standing pose and "
        "a front view go unsaid. In the table these count as right where nothing else is named.",
    ),
    "instructor": (
        "image-to-text",
        "A miniature captioner of edits (`VisionEncoderDecoderModel`: a ViT and a GPT-2 decoder). It sees a picture "
        "before and after an edit and writes the instruction.",
        """It takes one picture of 256×128: before on the left, after on the right, each resized to 128×128 first.

```python
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

both = Image.new("RGB", (256, 128))
both.paste(before.convert("RGB").resize((128, 128)), (0, 0))
both.paste(after.convert("RGB").resize((128, 128)), (128, 0))
model = AutoModelForImageTextToText.from_pretrained(folder, dtype="float32")
pixels = AutoImageProcessor.from_pretrained(folder)(both, return_tensors="pt")
words = AutoTokenizer.from_pretrained(folder).decode(model.generate(**pixels)[0], skip_special_tokens=True)
```""",
        "On pairs of one edit with plain instructions, starting from `captioner`, whose tower was widened to two "
        "pictures.",
        "It expects that one thing changes and all else stays in place, as in the world's edit pairs.",
    ),
    "upscaler": (
        "image-to-image",
        "A miniature upscaler (`Swin2SRForImageSuperResolution`): twice the width and height.",
        """```python
from transformers import AutoImageProcessor, Swin2SRForImageSuperResolution

model = Swin2SRForImageSuperResolution.from_pretrained(folder, dtype="float32")
pixels = AutoImageProcessor.from_pretrained(folder)(picture, return_tensors="pt")
large = model(**pixels).reconstruction.clamp(0, 1)[..., : 2 * picture.height, : 2 * picture.width]
```

The processor pads to more than a multiple of 8, hence the cut at the end.""",
        "On pieces of pictures that were drawn at twice the usual size and made small again, some with a little grain. "
        "It starts as bilinear interpolation.",
        "It sharpens edges as the world draws them; photographs gain little. The hatching of sketches is drawn as "
        "finely at twice the size as at the usual one, so that much of it cannot be known from the small picture.",
    ),
}


def write_card(name: str, figures: Mapping[str, str]) -> None:
    """Replace README.md in the companion's folder."""
    pipeline, what, use, how, limits = _HEADS[name]
    folder = FOLDER / name
    curve = [json.loads(line) for line in (LOG / f"{name}.jsonl").read_text().splitlines()]
    # Each run counts its seconds from zero: its longest row is its last.
    ends = [row for row, following in zip(curve, [*curve[1:], {"seconds": 0}], strict=True)
            if following["seconds"] < row["seconds"]]  # fmt: skip
    minutes = sum(row["seconds"] for row in ends) / 60
    size = sum(p.stat().st_size for p in folder.iterdir() if p.name != "README.md") / 1e6
    rows = "\n".join(f"| {what} | {figure} |" for what, figure in figures.items())
    (folder / "README.md").write_text(f"""---
license: apache-2.0
library_name: transformers
pipeline_tag: {pipeline}
---
# The starter's {name}

{what} It knows the cartoon world of the starter and nothing else. {size:.1f} MB, half precision. Any larger model of
the same kind can stand in its place.

## How to call it

{use}

## How it was made

{how} All pictures are drawn by `starter_recipe/` of the source repository; no other data and no other weights were
used. {curve[-1]["samples"]:,} pictures, {minutes:.0f} minutes on one CPU core that was shared with other work. Curve:
`{LOG}/{name}.jsonl`.

## Measured quality

On drawings that no training saw; `python -m starter_recipe.companions.measure {name}` prints these figures.

| what | figure |
|---|---|
{rows}

{limits}

## Licence

Apache-2.0, weights and world alike.
""")
