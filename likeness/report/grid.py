"""The epochs-by-prompts picture: how a run learned, at one look.

Epochs run down and prompts across, or the other way round where there are more epochs than prompts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageDraw

from likeness import durable
from likeness.errors import InputError
from likeness.report.history import History, Prompt
from likeness.report.lettering import Font, Typeface, find_typeface, wrap
from likeness.report.pictures import open_picture

PAPER, INK, MUTED, ACCENT, FRAME, EMPTY = "#fcfbf9", "#1f1d1a", "#6f6a62", "#a5431f", "#d9d4cb", "#f3f0eb"
MARGIN, GAP, SECTION_GAP, PAD, RADIUS = 28, 6, 20, 10, 6  # pixels; the section gap sets source and base apart
GUTTER = 190  # width of the prompts' column where prompts run down
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 26, 15, 13
LINE = 1.35  # line height
MAX_HEADER_LINES = 6

Size = tuple[int, int]


class Stage(NamedTuple):
    """One place on the epoch axis; `epoch` is None for the source image of an edit."""

    label: str
    epoch: int | None


@dataclass(frozen=True)
class Layout:
    """Where everything goes. Offsets are of the cells' upper left corners, in pixels from that of the picture."""

    across: bool  # epochs run across
    cell: Size
    stage_offsets: list[int]
    prompt_offsets: list[int]
    header_lines: int
    size: Size

    def corner(self, stage: int, prompt: int) -> Size:
        along, other = self.stage_offsets[stage], self.prompt_offsets[prompt]
        return (along, other) if self.across else (other, along)


def save_grid(history: History, path: Path, epochs: Sequence[int] | None = None, cell: int = 160) -> None:
    """Draw the grid and write it as PNG. Raises InputError for another file type and as `draw_grid` does."""
    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: the grid is written as PNG; give a file name that ends in .png")
    image = draw_grid(history, epochs, cell)
    durable.write_with(path, lambda partial: image.save(partial, "PNG", optimize=True))


def draw_grid(history: History, epochs: Sequence[int] | None = None, cell: int = 160) -> Image.Image:
    """Draw epochs × prompts, all epochs that have samples or those given.

    `cell` is about how long a picture's longer side becomes, in pixels: small pictures keep their pixels (once or a
    whole number of times), large ones are reduced. Raises InputError for a run without samples or an epoch that has
    none.
    """
    stages = _stages(history, epochs)
    subtitle, trigger = _subtitle(history), str(history.config("trigger") or "")
    return draw_table(history.name, subtitle, stages, history.prompts, _pictures(history, stages, cell), trigger)


def draw_table(
    title: str,
    subtitle: str,
    stages: Sequence[Stage],
    prompts: Sequence[Prompt],
    pictures: Mapping[tuple[int, int], Image.Image | None],
    trigger: str = "",
    across: bool | None = None,
) -> Image.Image:
    """Draw pictures, at their final sizes, by the positions of their stage and prompt: None leaves an empty frame.

    `across`: stages run across and prompts down; unset, the longer of both runs across.
    """
    face = find_typeface([title, subtitle, *(p.text for p in prompts)])
    layout = _lay_out(prompts, stages, pictures, face, len(prompts) < len(stages) if across is None else across)
    image = Image.new("RGB", layout.size, PAPER)
    draw = ImageDraw.Draw(image)
    width = layout.size[0] - 2 * MARGIN
    draw.text((MARGIN, MARGIN - 6), _one_line(title, face(TITLE_SIZE), width), INK, face(TITLE_SIZE))
    draw.text((MARGIN, MARGIN + 30), _one_line(subtitle, face(SMALL_SIZE), width), MUTED, face(SMALL_SIZE))
    for s, stage in enumerate(stages):
        _draw_stage_label(draw, layout, s, stage.label, face(TEXT_SIZE))
    for p, prompt in enumerate(prompts):
        _draw_prompt(draw, layout, p, prompt, face, trigger)
    for (s, p), picture in pictures.items():
        _draw_cell(image, picture, layout.corner(s, p), layout.cell)
    return image


def _stages(history: History, epochs: Sequence[int] | None) -> list[Stage]:
    if not history.epochs:
        raise InputError(f"{history.folder}: this run has no samples to draw; see that sampling.prompts is not empty")
    chosen = history.epochs if epochs is None else sorted(set(epochs))
    if unknown := [e for e in chosen if e not in history.epochs]:
        asked, there = ", ".join(map(str, unknown)), ", ".join(map(str, history.epochs))
        raise InputError(f"{history.folder}: no samples of epoch {asked}; choose from {there} (0 is the base)")
    if not chosen:
        raise InputError("no epochs given; name at least one, such as --epochs 3,7")
    source = [Stage("source", None)] if history.has_references else []
    return source + [Stage(f"epoch {e}" if e else "base", e) for e in chosen]


def _pictures(history: History, stages: list[Stage], cell: int) -> dict[tuple[int, int], Image.Image | None]:
    """Every cell's picture at its final size by (stage, prompt) position, None where there is none."""
    found: dict[tuple[int, int], Image.Image | None] = {}
    for s, stage in enumerate(stages):
        for p, prompt in enumerate(history.prompts):
            path = prompt.reference if stage.epoch is None else history.samples.get((stage.epoch, prompt.index))
            picture = open_picture(path)
            found[s, p] = fitted(picture, cell) if picture else None
    return found


def fitted(picture: Image.Image, cell: int) -> Image.Image:
    """The picture as a cell shows it: small ones keep their pixels, large ones are reduced to `cell` pixels."""
    longer = max(picture.size)
    if longer > 1.5 * cell:
        reduced = picture.copy()
        reduced.thumbnail((cell, cell), Image.Resampling.LANCZOS)
        return reduced
    times = max(1, round(cell / longer))
    return picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)


def _subtitle(history: History) -> str:
    base: Any = history.config("base")
    facts = [history.config("kind"), base and f"base {base}"]
    facts += [history.config("trigger") and f"trigger {history.config('trigger')}", history.status.text]
    return " · ".join(str(fact) for fact in facts if fact)


def _lay_out(
    prompts: Sequence[Prompt],
    stages: Sequence[Stage],
    pictures: Mapping[tuple[int, int], Image.Image | None],
    face: Typeface,
    across: bool,
) -> Layout:
    sizes = [picture.size for picture in pictures.values() if picture] or [(128, 128)]
    cell = max(w for w, _ in sizes), max(h for _, h in sizes)
    text, line = face(TEXT_SIZE), round(TEXT_SIZE * LINE)
    if across:
        left, header_lines = MARGIN + GUTTER + PAD, max(2, (cell[1] - line) // line)
        header = line + PAD
    else:
        left = MARGIN + round(max(text.getlength(stage.label) for stage in stages)) + PAD
        needed = max(len(wrap(p.text, text, cell[0] - PAD, 99)) for p in prompts)
        header_lines = min(MAX_HEADER_LINES, needed)
        header = (header_lines + 1) * line + PAD
    top = MARGIN + 60 + header

    stage_side, prompt_side = cell if across else cell[::-1]
    stage_offsets = [left if across else top]
    for stage in stages[:-1]:
        apart = SECTION_GAP if not stage.epoch else GAP  # after the source and after the base
        stage_offsets.append(stage_offsets[-1] + stage_side + apart)
    first_prompt = top if across else left
    prompt_offsets = [first_prompt + i * (prompt_side + (PAD if across else GAP)) for i in range(len(prompts))]
    end = (stage_offsets[-1] + stage_side, prompt_offsets[-1] + prompt_side)
    width, height = end if across else end[::-1]
    return Layout(
        across=across,
        cell=cell,
        stage_offsets=stage_offsets,
        prompt_offsets=prompt_offsets,
        header_lines=header_lines,
        size=(width + MARGIN, height + MARGIN),
    )


def _one_line(text: str, font: Font, width: float) -> str:
    return next(iter(wrap(text, font, width, 1)), "")


def _draw_stage_label(draw: ImageDraw.ImageDraw, layout: Layout, stage: int, label: str, font: Font) -> None:
    """Above its column, centred; or left of its row."""
    x, y = layout.corner(stage, 0)
    if layout.across:
        draw.text((x + layout.cell[0] / 2, y - PAD), label, INK, font, anchor="ms")
    else:
        draw.text((x - PAD, y + layout.cell[1] / 2), label, INK, font, anchor="rm")


def _draw_prompt(
    draw: ImageDraw.ImageDraw, layout: Layout, position: int, prompt: Prompt, face: Typeface, trigger: str
) -> None:
    """The wrapped prompt with its seed: left of its row, or above its column and standing on it."""
    font, small, line = face(TEXT_SIZE), face(SMALL_SIZE), round(TEXT_SIZE * LINE)
    x, y = layout.corner(0, position)
    lines = wrap(prompt.text, font, GUTTER if layout.across else layout.cell[0] - PAD, layout.header_lines)
    if layout.across:
        x, y = MARGIN, y + 2
    else:
        y -= PAD + (len(lines) + 1) * line
    for i, words in enumerate(lines):
        _draw_words(draw, x, y + i * line, words, font, trigger)
    if prompt.seed is not None:
        draw.text((x, y + len(lines) * line + 2), f"seed {prompt.seed}", MUTED, small)


def _draw_words(draw: ImageDraw.ImageDraw, x: float, y: float, words: str, font: Font, trigger: str) -> None:
    """A line of text with the trigger word in the accent colour."""
    before, found, after = words.partition(trigger) if trigger else (words, "", "")
    for piece, colour in ((before, INK), (found, ACCENT), (after, INK)):
        draw.text((x, y), piece, colour, font)
        x += font.getlength(piece)


def _draw_cell(image: Image.Image, picture: Image.Image | None, corner: Size, cell: Size) -> None:
    """The picture in the middle of its cell with rounded corners; an empty frame where there is none."""
    if picture is None:
        box = (*corner, corner[0] + cell[0] - 1, corner[1] + cell[1] - 1)
        ImageDraw.Draw(image).rounded_rectangle(box, RADIUS, fill=EMPTY, outline=FRAME)
        return
    smooth = 4  # drawn larger and reduced, since Pillow's shapes have hard edges
    mask = Image.new("L", (picture.width * smooth, picture.height * smooth))
    edge = (0, 0, mask.width - 1, mask.height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(edge, RADIUS * smooth, fill=255)
    x = corner[0] + (cell[0] - picture.width) // 2
    y = corner[1] + (cell[1] - picture.height) // 2
    image.paste(picture, (x, y), mask.resize(picture.size, Image.Resampling.LANCZOS))
