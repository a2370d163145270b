"""Measure the shipped companions on renders that no training drew; `--cards` writes the figures into their cards.

python -m starter_recipe.companions.measure [clip captioner instructor upscaler] [--cards]
"""

import argparse
import random
import time
from collections.abc import Callable

import numpy as np
import torch
from transformers import (
    AutoModelForImageTextToText,
    AutoTokenizer,
    CLIPModel,
    GPT2Tokenizer,
    Swin2SRForImageSuperResolution,
    VisionEncoderDecoderModel,
)

from starter_recipe.companions import FOLDER, NAMES, captioner, clip, instructor, upscaler
from starter_recipe.companions.cards import write_card
from starter_recipe.companions.views import drawn_pair, held_out_seed
from starter_recipe.companions.writer import write
from starter_recipe.world import caption, render

Figures = dict[str, str]  # by what was measured
PICTURES = 300
FROM = 2_000_000  # the seeds here: not those that the trainings watch


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def measure_clip() -> Figures:
    model = CLIPModel.from_pretrained(FOLDER / "clip", dtype="float32").eval()
    tokenizer = AutoTokenizer.from_pretrained(FOLDER / "clip")
    pictures, images, captions = clip.held_out(256, FROM)
    seen, said = clip.embed_images(model, images), clip.embed_texts(model, tokenizer, captions)
    again = clip.embed_images(model, [render(p, FROM + i) for i, p in enumerate(pictures)])
    rng = random.Random(FROM)
    loose = clip.embed_texts(model, tokenizer, [caption(p, rng) for p in pictures])
    pairs = [drawn_pair(held_out_seed(FROM + 100_000 + i)) for i in range(200)]
    sides = [clip.embed_images(model, [pixels[k] for _, pixels in pairs]) for k in (0, 1)]
    words = [clip.embed_texts(model, tokenizer, [caption(pair[k], rng, omit=0) for pair, _ in pairs]) for k in (0, 1)]
    own = torch.cat([(sides[k] * words[k]).sum(1) > (sides[k] * words[1 - k]).sum(1) for k in (0, 1)])
    return {
        "R@1 of 256, picture to full caption": percent(clip.recall(seen, said)),
        "R@1 of 256, full caption to picture": percent(clip.recall(said, seen)),
        "R@1 of 256, picture to a caption that leaves things out": percent(clip.recall(seen, loose)),
        "R@1 of 256, picture to the same attributes drawn anew": percent(clip.recall(seen, again)),
        "before or after an edit: the right one of two captions": percent(own.float().mean().item()),
    }


def _writer(name: str) -> tuple[VisionEncoderDecoderModel, GPT2Tokenizer]:
    model = AutoModelForImageTextToText.from_pretrained(FOLDER / name, dtype="float32").eval()
    return model, AutoTokenizer.from_pretrained(FOLDER / name)


def measure_captioner(count: int = PICTURES) -> Figures:
    pictures, images = captioner.held_out(count, FROM)
    texts = write(*_writer("captioner"), images)
    found = captioner.shares(pictures, texts)
    rows = [captioner.judged(p, text) for p, text in zip(pictures, texts, strict=True) if p.is_person]
    goals = ("garment_colour", "scene", "hair_colour")
    colourful = [row for row in rows if "garment_colour" in row and "hair_colour" in row]
    together = sum(all(row[g] for g in goals) for row in colourful) / len(colourful)
    return {
        **{f"{field.replace('_', ' ')} named right": percent(share) for field, share in found.items()},
        "people: garment colour, scene and hair colour all right": percent(together),
    }


def measure_instructor() -> Figures:
    pairs, images = instructor.held_out(PICTURES, FROM)
    found = instructor.shares(pairs, write(*_writer("instructor"), images))
    names = {"kind": "the right kind of change", "exact": "every word right"}
    fields = {
        f"every word right where this changes: {field.replace('_', ' ')}": percent(share)
        for field, share in found.items()
        if field not in names
    }
    return {**{what: percent(found[name]) for name, what in names.items()}, **fields}


def measure_upscaler() -> Figures:
    model = Swin2SRForImageSuperResolution.from_pretrained(FOLDER / "upscaler", dtype="float32").eval()
    gains: dict[str, list[tuple[float, float]]] = {}
    start, spent = time.process_time(), 0.0
    for i in range(80):
        style, picture = upscaler.large(held_out_seed(FROM + i))
        small = upscaler.halved(picture)
        start = time.process_time()
        ours = upscaler.psnr(upscaler.upscaled(model, small), picture)
        spent += time.process_time() - start
        gains.setdefault(style, []).append((ours, upscaler.psnr(upscaler.doubled(small), picture)))
    rows = {style: np.mean(pairs, axis=0) for style, pairs in sorted(gains.items())}
    rows["all"] = np.mean([pair for pairs in gains.values() for pair in pairs], axis=0)
    figures = {f"PSNR, {style}": f"{ours:.2f} dB (bicubic {other:.2f} dB)" for style, (ours, other) in rows.items()}
    return {**figures, "time for a picture of about 128×128, one CPU core": f"{spent / 80:.2f} s"}


MEASURES: dict[str, Callable[[], Figures]] = {
    "clip": measure_clip,
    "captioner": measure_captioner,
    "instructor": measure_instructor,
    "upscaler": measure_upscaler,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--cards", action="store_true", help="write the model cards")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in args.names:
        figures = MEASURES[name]()
        print(f"\n{name}")
        for what, figure in figures.items():
            print(f"  {what:64} {figure}", flush=True)
        if args.cards:
            write_card(name, figures)


if __name__ == "__main__":
    main()
