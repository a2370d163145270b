"""Install the pretrained starter into the package and write its model card, with the quality measured anew.

python -m starter_recipe.card
python -m starter_recipe.card --distilled build/distill    # instead: the variant that draws in 4 steps
"""

import argparse
import json
import random
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLFlux2

from starter_recipe.pipeline import DISTILLED_FACTS, FACTS
from starter_recipe.pool import encoder_identity
from starter_recipe.text import TEXT_LAYERS, TEXT_TOKENS
from starter_recipe.training import DISTILLED, LOG, SHIPPED
from starter_recipe.vae_model import psnr, reconstruct, to_tensor
from starter_recipe.world import picture, random_picture, render

STYLES = tuple(dict.fromkeys(picture.STYLES))
PER_STYLE = 60


def reconstruction(vae: AutoencoderKLFlux2) -> dict[str, float]:
    """Mean PSNR in dB of renders that no training saw, by style."""
    rng = random.Random(99_000_001)
    out: dict[str, float] = {}
    for style in STYLES:
        images = np.stack([render(replace(random_picture(rng), style=style), 99_000_000 + i) for i in range(PER_STYLE)])
        x = to_tensor(images)
        rows = [psnr(reconstruct(vae, x[i : i + 20]), x[i : i + 20]) for i in range(0, PER_STYLE, 20)]
        out[style] = torch.cat(rows).mean().item()
    return out


def size_mb(folder: Path) -> float:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6


def call(facts: Mapping[str, Any]) -> str:
    """How a pipeline of these facts is called, as a block of code."""
    return f"""```python
pipe(
    prompt,
    height={facts["resolution"]},
    width={facts["resolution"]},
    num_inference_steps={facts["steps"]},
    guidance_scale={facts["guidance"]},
    max_sequence_length={TEXT_TOKENS},
    text_encoder_out_layers={TEXT_LAYERS},
)
```"""


def write_card(curve: list[dict], vae_curve: list[dict]) -> None:
    vae = AutoencoderKLFlux2.from_pretrained(SHIPPED / "vae", dtype=torch.float32).eval()
    quality = reconstruction(vae)
    last = curve[-1]
    rows = "\n".join(f"| VAE reconstruction, {style} | {db:.1f} dB |" for style, db in quality.items())
    sizes = "\n".join(
        f"| {name} | {size_mb(SHIPPED / name):.1f} MB |" for name in ("transformer", "text_encoder", "vae", "tokenizer")
    )
    (SHIPPED / "README.md").write_text(
        f"""---
license: apache-2.0
pipeline_tag: text-to-image
---
# Likeness starter

A miniature base model in the exact layout of FLUX.2 klein (`Flux2KleinPipeline`), small enough to train LoRAs on with
two CPU cores. It draws pictures of a cartoon world and edits them by instruction: 128×128, and other shapes of about
that area (96×160, 160×96, 112×144, 144×112). It knows nothing else: photographs, other subjects and words outside the
list below give poor pictures.

| part | size |
|---|---|
{sizes}

## What it knows

- **People**: a girl, a boy; hair {", ".join(picture.HAIRS)}; hair colours {", ".join(picture.HAIR_COLOURS)};
  skin {", ".join(picture.SKINS)}; wearing {", ".join(picture.GARMENTS)} in {", ".join(picture.GARMENT_COLOURS)},
  with a heart, star, dot, moon, flower, diamond or stripes on it; holding {", ".join(picture.PROPS)};
  {", ".join(picture.EXPRESSIONS)}; {", ".join(dict.fromkeys(picture.POSES))};
  front, side and back view; full body, half body, close-up
- **Animals**: {", ".join(picture.ANIMALS)}; colours {", ".join(picture.ANIMAL_COLOURS)}
- **Things**: {", ".join(picture.THINGS)}; in the colours of garments
- **Worn**: {", ".join(dict.fromkeys(a for a in picture.ACCESSORIES if a != "none"))}
- **Places**: {", ".join(dict.fromkeys(s for s in picture.SCENES if s != "plain"))}, and a plain background in
  {", ".join(picture.BACKDROPS)}; by day, at sunset, at night
- **Styles**: flat style, outline style, watercolor painting, pixel art, pencil sketch
- **Edits**: make it (a style); make it night, make it sunset, change it to day; change the background to (a place);
  add, remove or swap something worn or held; put (an emblem) on the (garment); make the (garment, animal, thing, hair)
  (colour); make the girl look (happy, sad, …); turn the (animal, thing) into (another)

Write as in "a girl with long pink hair wearing a red dress, smiling, half body, in a meadow, flat style".
It was never shown fins for hair, mint hair, a lightning bolt emblem, a party hat, the radio, the tea garden, stained
glass or tropical colours: the examples teach such things.

## How to call it

{call(FACTS)}

## How it was made

From scratch, on pictures drawn by `starter_recipe/` of the source repository; no other data was used. The VAE first,
then transformer and text encoder together on text-to-image and editing (one batch in four). Curves:
`starter_recipe/log/`.

- VAE: {made(vae_curve, "pieces of 64×64 pixels", 16)}
- Transformer and text encoder: {made(curve, "pictures, fewer for edits", 64)}{mixed(curve)}

## Measured quality

On renders that no training saw; `python -m starter_recipe.card` prints these figures.

| what | figure |
|---|---|
{rows}
| velocity loss, text-to-image | {last["loss_text"]:.3f} |
| the same with wrong captions | {last["loss_text_shuffled"]:.3f} |
| velocity loss, edits | {last["loss_edit"]:.3f} |
| the same with the wrong source picture | {last["loss_edit_wrong_source"]:.3f} |

Colours, scenes, styles and framing come out as asked. Hair, what is worn, animals and things are right in two pictures
of three, garments and poses in every other, expressions in two of five; least of all at full body. Longer training is
what it wants.

## Licence

Apache-2.0, weights and world alike.
"""
    )
    for style, db in quality.items():
        print(f"{style}: {db:.2f} dB")
    print(json.dumps(last), f"{vae_curve[-1]['held_out_psnr']:.2f} dB at the end of VAE training")


def parts(curve: list[dict]) -> list[list[dict]]:
    """Split a curve where training was interrupted: each part counts its seconds from zero."""
    out: list[list[dict]] = [[]]
    for row in curve:
        if out[-1] and (row["seconds"] < out[-1][-1]["seconds"] or row["step"] < out[-1][-1]["step"]):
            out.append([])
        out[-1].append(row)
    return out


def made(curve: list[dict], what: str, older: int) -> str:
    """'1,800 steps of 64 pictures in 100 minutes on two CPU cores; then …', one for each machine and batch.

    Older curves say neither: their batches were of `older`, on two CPU cores. Nor do they say at which step a part
    began: where the one before it had ended."""
    told: dict[tuple[int, str], list[float]] = {}
    before = 0
    for part in parts(curve):
        last = part[-1]
        steps = last["step"] - last.get("first", before)
        sums = told.setdefault((last.get("batch", older), last.get("machine", "two CPU cores")), [0, 0])
        sums[0] += steps
        sums[1] += last["seconds"] / 60
        before = last["step"]
    lines = [
        f"{steps:,.0f} steps of {batch} {what}, in {minutes:,.0f} minutes on {machine}"
        for (batch, machine), (steps, minutes) in told.items()
    ]
    return "; then ".join(lines)


def mixed(curve: list[dict]) -> str:
    """What `starter_recipe.mix` did, where it did."""
    if "share" not in curve[-1]:
        return ""
    share = curve[-1]["share"]
    return f"; then mixed with the weights before the last part: {share:.0%} of the way from those to these"


def carried(curve: list[dict]) -> str:
    """What `distill --carry` began with, where it did."""
    began = any(row.get("carried") for row in curve)
    return "began as the starter with all that distillation had made of an earlier one; then " if began else ""


def install_distilled(work: Path) -> None:
    shutil.rmtree(DISTILLED, ignore_errors=True)
    shutil.copytree(work / "starter", DISTILLED)
    shutil.copy(work / "curve.jsonl", LOG / "distilled.jsonl")
    curve = [json.loads(line) for line in (LOG / "distilled.jsonl").read_text().splitlines()]
    last = curve[-1]
    (DISTILLED / "README.md").write_text(
        f"""---
license: apache-2.0
pipeline_tag: text-to-image
---
# Likeness starter, distilled

The starter, drawing in 4 steps without guidance instead of 16 with it, so about six times as fast. It has the
starter's text encoder and VAE, and only the transformer differs, so LoRAs trained on the starter fit it. What it knows
and how prompts are written is in the starter's own card. Train on the starter, not on this one.

{call(DISTILLED_FACTS)}

## How it was made

From the starter's own drawings (`starter_recipe/distill.py`): it learned to go in one step where the starter goes in
four guided ones. Curve: `starter_recipe/log/distilled.jsonl`.

- Transformer: {carried(curve)}{made(curve, "paths", 0)}

## Measured quality

How near pictures come to those that the starter draws in 16 guided steps from the same noise, on prompts that training
left out:

| what | distilled, 4 steps | the starter itself in 4 steps without guidance |
|---|---|---|
| pictures | {last["psnr_pictures"]:.1f} dB | {last["psnr_pictures_teacher"]:.1f} dB |
| edits | {last["psnr_pairs"]:.1f} dB | {last["psnr_pairs_teacher"]:.1f} dB |

## Licence

Apache-2.0, weights and world alike.
"""
    )


def install(transformer: Path, vae: Path) -> None:
    """Replace the shipped starter by `transformer`/starter with the VAE `vae`/final.

    The distilled one gets that VAE too, as long as it draws in the same latents.

    Raises SystemExit, and leaves what is shipped, where the transformer was trained on latents of another encoder."""
    drawn_with, finished = transformer / "starter" / "vae", vae / "final"
    if encoder_identity(drawn_with) != encoder_identity(finished):
        raise SystemExit(
            f"{finished}: its latents are not those that {transformer} was trained on. "
            f"Fix: train on it (starter_recipe.transformer --vae {finished}), or name the right one with --vae"
        )
    shutil.rmtree(SHIPPED, ignore_errors=True)
    shutil.copytree(transformer / "starter", SHIPPED)
    shutil.copytree(finished, SHIPPED / "vae", dirs_exist_ok=True)
    if DISTILLED.is_dir() and encoder_identity(DISTILLED / "vae") == encoder_identity(finished):
        shutil.copytree(finished, DISTILLED / "vae", dirs_exist_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vae", type=Path, default=Path("build/vae"), help="where step 1 was done (%(default)s)")
    parser.add_argument(
        "--transformer", type=Path, default=Path("build/transformer"), help="where step 2 was done (%(default)s)"
    )
    parser.add_argument("--distilled", type=Path, help="folder of a distillation: install it, and nothing else")
    args = parser.parse_args()
    LOG.mkdir(exist_ok=True)
    if args.distilled:
        install_distilled(args.distilled)
        return
    install(args.transformer, args.vae)
    curves: list[list[dict]] = []
    for name, source in (("vae", args.vae), ("transformer", args.transformer)):
        shutil.copy(source / "curve.jsonl", LOG / f"{name}.jsonl")
        curves.append([json.loads(line) for line in (LOG / f"{name}.jsonl").read_text().splitlines()])
    write_card(curves[1], curves[0])


if __name__ == "__main__":
    main()
