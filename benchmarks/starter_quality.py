"""How good is the starter? The table of its model card.

    python -m benchmarks.starter_quality
    python -m benchmarks.starter_quality --base build/transformer/starter --count 24 --only prompts edits

Reconstruction by style, whether prompts and edits are obeyed in the eyes of a judge that was taught with renders alone
(see `attribute_judge.py`), how well the examples are learned (`starter_loras.py`), the captioner and CLIP, and the size
of all weights. Pictures are drawn by the product's own sampler and kept, as are the examples' runs: what was stopped
goes on. Figures are kept as JSON beside them.
"""

import argparse
import hashlib
import json
import random
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLFlux2
from PIL import Image, ImageFilter
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.attribute_judge import FIELDS, AttributeJudge, Pixels, shown
from benchmarks.attribute_school import KEPT, load_judge
from benchmarks.starter_loras import CONTROL_GOAL, SUBJECTS, TRAIT_GOAL, Learned, learned, train
from likeness import durable
from likeness.catalog import resolve_base
from likeness.config.hardware import HardwareConfig
from likeness.config.sampling import PromptConfig, SamplingConfig
from likeness.errors import InputError, LikenessError
from likeness.families import Family, open_family
from likeness.families.identity import folder_identity
from likeness.families.placement import choose_placement, set_up_torch
from likeness.sample.sampler import draw, encode_texts, save_png, settle
from starter_recipe.card import reconstruction
from starter_recipe.companions.measure import measure_captioner, measure_clip
from starter_recipe.drawings import pair_of, picture_of
from starter_recipe.vae_model import reconstruct, to_tensor
from starter_recipe.world import Picture, caption, read, render

SERIES, FIRST_PAIR = 80_000_000, 2_400_000  # seeds and numbers that no training takes
COUNT = 500
EDIT_SHARE = 0.5  # so many edits for each prompt
LORA_SHARE = 15  # so many prompts for each that is drawn with a LoRA
PARTS = ("reconstruction", "prompts", "edits", "loras", "companions", "sizes")
LEFT_OUT = {"loras": "how well the examples are learned"}  # what a part is called where it is missing
LEAST_UNCHANGED = 0.2  # of the picture, for its unchanged region to be measured
ROOT = Path(__file__).parent.parent
WEIGHTS = ("likeness/starter", "likeness/starter-distilled", "likeness/companions", "starter_recipe/reader.safetensors")
HEADING = "### Goals and an independent judge"
# In percent, from what the starter is meant to reach.
GOALS = {
    **dict.fromkeys(("garment_colour", "hair_colour", "scene", "time"), 95),
    **dict.fromkeys(("hair", "accessory", "pose", "style"), 85),
    "expression": 75,
}
EDIT_GOAL, UNCHANGED_GOAL, WORST_STYLE_GOAL, SIZE_GOAL = 85, 26, 25, 90
ALL_STYLES_GOAL = 31  # of a VAE that was trained on CPUs; 32 with a GPU


@dataclass(frozen=True)
class Row:
    what: str
    figure: float
    unit: str  # % | dB | MB
    pictures: int = 0
    goal: float | None = None
    ceiling: float | None = None  # the same for a perfect answer: what the judge or the VAE makes of the true picture

    @property
    def reached(self) -> bool | None:
        if self.goal is None:
            return None
        return self.figure <= self.goal if self.unit == "MB" else self.figure >= self.goal


class Studio:
    """The base under test with its sampler and where its pictures are kept. It is loaded when the first is drawn."""

    def __init__(self, base: str, folder: Path, threads: int | None):
        self.card = resolve_base(base)
        if self.card.path is None:
            raise InputError(f"--base: '{base}' is not on this machine. Fix: give the starter's name or a folder")
        self.folder = folder / f"{self.card.name}-{weights_identity(self.card.path)}"
        self.threads = threads

    @cached_property
    def family(self) -> Family:
        placement = choose_placement(HardwareConfig())
        set_up_torch(placement, self.threads)
        return open_family(self.card, placement)

    def picture(self, path: Path, prompt: PromptConfig) -> Image.Image:
        """Drawn with the base's own steps and guidance and with what it wears, or as it was drawn before."""
        if not path.exists():
            request = settle(prompt, SamplingConfig(), self.card)
            save_png(path, draw(self.family, request, encode_texts(self.family, request)), request)
        return Image.open(path).convert("RGB")


def weights_identity(folder: Path) -> str:
    """What the pictures depend on: not the card in the folder, which the figures go into."""
    parts = ("transformer", "text_encoder", "tokenizer", "vae")
    return hashlib.sha256("".join(folder_identity(folder / part) for part in parts).encode()).hexdigest()[:12]


def percent(right: Sequence[bool]) -> float:
    return round(100 * float(np.mean(right)), 1)


# --- the parts


def measure_reconstruction(studio: Studio) -> list[Row]:
    assert studio.card.path is not None
    vae = AutoencoderKLFlux2.from_pretrained(studio.card.path / "vae", dtype=torch.float32).eval()
    by_style = reconstruction(vae)
    rows = [Row(f"VAE reconstruction, {style}", round(db, 2), "dB") for style, db in by_style.items()]
    return [
        Row("VAE reconstruction, all styles", round(float(np.mean(list(by_style.values()))), 2), "dB",
            goal=ALL_STYLES_GOAL),
        *(Row(r.what, r.figure, r.unit, goal=WORST_STYLE_GOAL) for r in rows),
    ]  # fmt: skip


def prompts(count: int) -> list[tuple[Picture, str]]:
    """Held-out pictures of all shapes and captions as pretraining writes them, long and short."""
    pictures = [picture_of(i, SERIES) for i in range(count)]
    return [(p, caption(p, random.Random(SERIES + i))) for i, p in enumerate(pictures)]


def measure_prompts(studio: Studio, judge: AttributeJudge, count: int) -> list[Row]:
    """Of the pictures whose caption names an attribute, the share that shows it."""
    found: dict[str, list[tuple[bool, bool]]] = {}
    for i, (p, text) in enumerate(track(prompts(count), "prompts", transient=True)):
        image = studio.picture(
            studio.folder / "prompts" / f"{i:04d}.png",
            PromptConfig(prompt=text, width=p.width, height=p.height, seed=i),
        )
        seen, truth = judge.look([image, render(p, SERIES + i)])
        for field, value in read(text).items():
            found.setdefault(field, []).append((seen[field] == value, truth[field] == value))
    rows = []
    for field in FIELDS:
        if pairs := found.get(field):
            right, best = zip(*pairs, strict=True)
            what = f"prompts, {field.replace('_', ' ')}"
            rows.append(Row(what, percent(right), "%", len(right), GOALS.get(field), percent(best)))
    return rows


def changes(before: Picture, after: Picture) -> dict[str, str]:
    """What should be seen after the edit and was not there before."""
    return {f: v for f, v in shown(after).items() if getattr(before, f) != v}


def unchanged(before: Pixels, after: Pixels) -> np.ndarray:
    """(H, W) bool: where nothing should change, two pixels away from where something does."""
    same = Image.fromarray(((before == after).all(axis=-1) * 255).astype(np.uint8))
    return np.asarray(same.filter(ImageFilter.MinFilter(5))) > 0


def region_psnr(a: np.ndarray, b: np.ndarray, region: np.ndarray) -> float:
    error = (a[region].astype(float) - b[region].astype(float)) ** 2
    return float(-10 * np.log10(max(error.mean(), 1e-3) / 255**2))


def measure_edits(studio: Studio, judge: AttributeJudge, count: int) -> list[Row]:
    """Whether the instruction was followed, by what it changes, and what became of the rest."""
    assert studio.card.path is not None
    vae = AutoencoderKLFlux2.from_pretrained(studio.card.path / "vae", dtype=torch.float32).eval()
    found: dict[str, list[tuple[bool, bool]]] = {}
    kept: list[tuple[float, float]] = []
    for i in track(range(count), "edits", transient=True):
        before, after, instruction = pair_of(FIRST_PAIR + i)
        source, truth = (render(p, SERIES + i) for p in (before, after))
        source_file = studio.folder / "edits" / f"{i:04d}-source.png"
        source_file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(source).save(source_file)
        prompt = PromptConfig(prompt=instruction, reference=[str(source_file)], seed=i)
        image = np.asarray(studio.picture(studio.folder / "edits" / f"{i:04d}.png", prompt))
        seen, best = judge.look([image, truth])
        wanted = changes(before, after)
        if wanted:
            answers = tuple(all(eyes[f] == v for f, v in wanted.items()) for eyes in (seen, best))
            found.setdefault("all", []).append(answers)
            found.setdefault(next(iter(wanted)), []).append(answers)
        region = unchanged(source, truth)
        if region.mean() >= LEAST_UNCHANGED:
            again = reconstruct(vae, to_tensor(source[None]))[0].permute(1, 2, 0).numpy()
            pixels = ((again + 1) * 127.5).round()
            kept.append((region_psnr(image, source, region), region_psnr(pixels, source, region)))
    rows = []
    for field, pairs in sorted(found.items(), key=lambda item: (item[0] != "all", item[0])):
        right, best = zip(*pairs, strict=True)
        what = "edits followed" if field == "all" else f"edits followed, {field.replace('_', ' ')}"
        rows.append(Row(what, percent(right), "%", len(right), EDIT_GOAL if field == "all" else None, percent(best)))
    if kept:
        ours, vaes = np.mean(kept, axis=0)
        rows.append(Row("edits, unchanged region", round(float(ours), 2), "dB", len(kept), UNCHANGED_GOAL,
                        round(float(vaes), 2)))  # fmt: skip
        near = percent([ours >= UNCHANGED_GOAL for ours, _ in kept])
        rows.append(Row(f"edits whose unchanged region is within {UNCHANGED_GOAL} dB", near, "%", len(kept)))
    return rows


def measure_loras(studio: Studio, judge: AttributeJudge, count: int) -> list[Row]:
    """How well each example subject is learned, what it does to prompts without it, and what too many epochs do."""
    rows: list[Row] = []
    for subject in track(SUBJECTS, "LoRAs", transient=True):
        run = train(subject, studio.folder / "loras", studio.threads)
        pictures = studio.folder / "loras" / "drawn" / run.name
        networks = studio.family.networks
        rows += lora_rows(learned(subject, run, networks, studio.picture, judge, pictures, count))
    return rows


def lora_rows(found: Learned) -> list[Row]:
    """At the best epoch, with goals, and at the last one, which is far too late."""
    rows: list[Row] = []
    others = max(1, found.pictures // 2)
    for look, trait, control in ((found.best, 100 * TRAIT_GOAL, 100 * CONTROL_GOAL), (found.looks[-1], None, None)):
        where = f"{found.subject.file.stem}, epoch {look.epoch}"
        for what, share, pictures, goal, ceiling in (
            ("trait there", look.most, found.pictures, trait, found.most_at_best),
            ("all of its parts", look.every, found.pictures, None, None),
            ("the rest of the prompt", look.obeyed, found.pictures, None, found.obeyed_at_best),
            ("controls unchanged", look.unchanged, others, control, None),
            ("of them, what was right", look.still_right, others, None, None),
            ("controls that show the trait", look.leak, others, None, None),
        ):
            at_best = None if ceiling is None else round(100 * ceiling, 1)
            if what != "all of its parts" or share < look.most:
                rows.append(Row(f"{where}: {what}", round(100 * share, 1), "%", pictures, goal, at_best))
    return rows


def measure_companions(count: int) -> list[Row]:
    """The captioner's and CLIP's figures, as their cards have them."""
    goals = {f"{f} named right": 90.0 for f in ("garment colour", "scene", "hair colour")}
    goals |= {f"R@1 of 256, {w}": 97.0 for w in ("picture to full caption", "full caption to picture")}
    rows: list[Row] = []
    for name, figures in (("captioner", measure_captioner(count)), ("CLIP", measure_clip())):
        pictures = count if name == "captioner" else 256
        for what, text in figures.items():
            rows.append(Row(f"{name}, {what}", float(re.match(r"[\d.]+", text)[0]), "%", pictures, goals.get(what)))
    return rows


def measure_sizes() -> list[Row]:
    sizes = {path.stem.replace("_", " "): _megabytes(path) for path in (*(ROOT / name for name in WEIGHTS), KEPT)}
    rows = [Row(f"size, {name}", round(size, 1), "MB") for name, size in sizes.items()]
    return [*rows, Row("size, all weights", round(sum(sizes.values()), 1), "MB", goal=SIZE_GOAL)]


def _megabytes(path: Path) -> float:
    return sum(f.stat().st_size for f in (path, *path.rglob("*")) if f.is_file()) / 1e6


# --- telling


COLUMNS = ("what", "figure", "goal", "at best", "pictures")


def cells(part: dict[str, Any]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for row in (Row(**values) for values in part["rows"]):
        mark = {None: "", True: " ✓", False: " ✗"}[row.reached]
        goal = "" if row.goal is None else f"{'≤' if row.unit == 'MB' else '≥'} {row.goal:g}{mark}"
        best = "" if row.ceiling is None else f"{row.ceiling:g}"
        found.append((row.what, f"{row.figure:g} {row.unit}", goal, best, str(row.pictures or "")))
    return found


def table(parts: dict[str, dict[str, Any]]) -> Table:
    grid = Table(title="the starter on drawings that no training saw", title_justify="left")
    for name in COLUMNS:
        grid.add_column(name, justify="left" if name == "what" else "right", no_wrap=True)
    for part in parts.values():
        for row in cells(part):
            grid.add_row(*row)
        grid.add_section()
    return grid


def write_into_card(readme: Path, parts: dict[str, dict[str, Any]]) -> None:
    """Replace the judge's table in a model card, or put it before the licence. Raises InputError without a card."""
    if not readme.is_file() or "## Licence" not in (text := readme.read_text()):
        raise InputError(f"{readme}: is no model card. Fix: write it first (python -m starter_recipe.card)")
    lines = ["| " + " | ".join(row) + " |" for part in parts.values() for row in cells(part)]
    head = f"| {' | '.join(COLUMNS)} |\n|---|---|---|---|---|\n"
    missing = [LEFT_OUT.get(name, name) for name in PARTS if name not in parts]
    left_out = f"\nNot measured on these weights: {', '.join(missing)}.\n" if missing else ""
    block = f"""{HEADING}

`python -m benchmarks.starter_quality --card` prints these figures. Prompts and edits are judged by a network that has
seen renders alone; `at best` is what it says of the true picture, and what the VAE makes of it. The examples are
trained as their files say (the product, the place and the style with preservation), for three times as long.

{head}{chr(10).join(lines)}
{left_out}
"""
    before = text.split(HEADING)[0] if HEADING in text else text.split("## Licence")[0]
    durable.write_text(readme, before + block + "## Licence" + text.split("## Licence", 1)[1])


def run(options: argparse.Namespace, console: Console) -> dict[str, dict[str, Any]]:
    """Measure what is not measured yet; the figures by part, as they are kept."""
    studio = Studio(options.base, options.folder, options.threads)

    def file(part: str) -> Path:
        return studio.folder / f"figures-{options.count}" / f"{part}.json"

    wanted = options.only or PARTS
    if options.anew:
        for name in wanted:
            file(name).unlink(missing_ok=True)
    judges: list[AttributeJudge] = []

    def judge() -> AttributeJudge:
        if not judges:
            judges.append(load_judge(options.judge))
            console.print(f"The judge was taught with {judges[0].facts['pictures']:,} renders.")
        return judges[0]

    edits = max(1, round(EDIT_SHARE * options.count))
    measures: dict[str, Callable[[], list[Row]]] = {
        "reconstruction": lambda: measure_reconstruction(studio),
        "prompts": lambda: measure_prompts(studio, judge(), options.count),
        "edits": lambda: measure_edits(studio, judge(), edits),
        "loras": lambda: measure_loras(studio, judge(), max(2, options.count // LORA_SHARE)),
        "companions": lambda: measure_companions(min(300, options.count)),
        "sizes": measure_sizes,
    }
    for name in wanted:
        if file(name).exists() and name != "sizes":
            continue
        rows = measures[name]()
        facts = {"judge": judges[0].facts} if name in ("prompts", "edits", "loras") else {}
        durable.write_text(file(name), json.dumps({**facts, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")
    parts = {name: json.loads(file(name).read_text()) for name in PARTS if file(name).exists()}
    console.print(table(parts))
    console.print(f"Pictures and figures: {studio.folder}")
    if options.card and studio.card.path is not None:
        write_into_card(studio.card.path / "README.md", parts)
    return parts


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="starter", help="the shipped one, or the folder of another (%(default)s)")
    parser.add_argument("--count", type=int, default=COUNT, help="prompts; half as many edits (%(default)s)")
    parser.add_argument("--only", nargs="*", choices=PARTS)
    parser.add_argument("--card", action="store_true", help="write the table into the base's model card")
    parser.add_argument("--anew", action="store_true", help="forget the figures of these parts, not the pictures")
    parser.add_argument("--folder", type=Path, default=Path("build/quality"), help="(%(default)s)")
    parser.add_argument("--judge", type=Path, default=KEPT, help="the file it is in (%(default)s)")
    parser.add_argument("--threads", type=int)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    console = Console(width=None if sys.stdout.isatty() else 140)
    try:
        run(parse(arguments), console)
    except LikenessError as e:
        print(e, file=sys.stderr)
        return e.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
