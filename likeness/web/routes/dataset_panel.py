"""The panel in which a dataset's pictures are worked on, in its own page and in others that hold it."""

import hashlib
import json
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse

from likeness.api.shapes import Opened
from likeness.catalog import find_card
from likeness.errors import Conflict, InputError
from likeness.store.tables import Dataset
from likeness.studio import datasets, preferences, queue, uploads
from likeness.studio.datasets import arrivals, captions, checking, crops, files, jobs, pairs, steps
from likeness.studio.datasets.files import Picture
from likeness.studio.progress import FOLLOWER
from likeness.studio.workspace import Studio
from likeness.web.pages import part, said

router = APIRouter(prefix="/datasets/{dataset}")

SHOWN, MOST_SHOWN = 60, 10_000  # pictures at a time, and at most
LATE_SECONDS = 60  # after which an upload that does not go on was cut off
TELL_OTHERS = '{"dataset": {"target": "body"}}'  # event, where the pictures have changed: for the rest of the page
ENGINES = (
    ("shipped", "The shipped captioner (for the starter's own world)"), ("vlm", "A vision language model, run here"),
    ("tagger", "A WD14 tagger, run here"), ("ollama", "Ollama"), ("openai", "A server with OpenAI's protocol"),
)  # fmt: skip
LABELS = {  # of checks, short enough to stand beside a picture
    "size": "too small", "duplicates": "a copy", "near_duplicates": "nearly a copy", "same_framing": "same framing",
    "same_background": "same background", "watermark": "watermark", "blur": "blurred", "compression": "compressed",
    "aspect": "very long", "aspect_cut": "much cut off", "borders": "bars", "several_characters": "several people",
    "trigger": "no trigger", "trigger_spelling": "trigger misspelled", "caption_empty": "empty caption",
    "caption": "says little", "caption_length": "too long", "caption_same": "same caption",
    "caption_style": "wrong sort of caption", "caption_missing": "no caption", "unreadable": "cannot be read",
    "pair_same": "nothing changes", "pair_shift": "shifted", "pair_size": "sizes differ", "pair_swapped": "swapped?",
    "pair_unrelated": "unrelated", "shape": "shapes differ", "crop": "crop box is wrong", "loose": "in no pair",
}  # fmt: skip

Text = Annotated[str, Form()]
Shown = Annotated[int, Form(ge=1, le=MOST_SHOWN)]  # pictures that the page shows now


@router.get("/panel")
def show_panel(request: Request, studio: Opened, dataset: str) -> HTMLResponse:
    """All that is needed to work on a dataset, for any page. Its pictures are checked a moment later."""
    row = datasets.get(studio, dataset)
    servers = [(url, url) for url in preferences.get(studio, preferences.Captions).servers]
    more: dict[str, Any] = {"accepted": ",".join(("image/*", *arrivals.ACCEPTED))}
    more |= {"engines": ENGINES, "servers": servers}
    return part(request, "_dataset_panel.html", **_pictures(studio, row, SHOWN, check=False), **more)


@router.get("/pictures")
def show_pictures(
    request: Request, studio: Opened, dataset: str, shown: Annotated[int, Query(ge=1, le=MOST_SHOWN)] = SHOWN,
    more: bool = False, check: bool = True,
) -> HTMLResponse:  # fmt: skip
    """The pictures with what the check finds; without `check` they come at once."""
    row = datasets.get(studio, dataset)
    shown = min(MOST_SHOWN, shown + SHOWN) if more else shown
    told: dict[str, Any] = _pictures(studio, row, shown, check=check) | ({} if check else {"check_next": False})
    return part(request, "_dataset_pictures.html", **told)


def _pictures(studio: Studio, row: Dataset, shown: int, *, check: bool) -> dict[str, Any]:
    found, total = files.listed(studio, row.id, MOST_SHOWN)
    paired = [p for p in found if not p.loose]
    pictures, undone = found[:shown], next((s for s in steps.listed(studio, row.id, 50) if not s.undone), None)
    work = [(job, FOLLOWER.progress(job)) for job in jobs.running(studio, row.id)]
    authors = {author: sum(p.author == author for p in paired) for author in ("person", "machine", "nobody")}
    names = {name for p in pictures for name in (p.name, *p.sources)}
    return {
        "row": row, "pictures": pictures, "shown": shown, "more": min(SHOWN, total - len(pictures)),
        "total": len(paired), "noun": _noun(row, len(paired)), "loose": len(found) - len(paired), "authors": authors,
        "loose_names": [p.name for p in found if p.loose], "work": work, "step": undone,
        "audit": captions.audit(studio, row.id) if row.trigger and row.kind != "edit" and paired else None,
        "check_next": True,
        "marks": {p.name: mark(p.name) for p in pictures},
        "stamps": {name: files.stamp(datasets.files_of(studio, row.id) / name) for name in names},
        "cut": uploads.unfinished(studio, f"dataset:{row.id}", LATE_SECONDS),
        "fixes": checking.FIXES, "labels": LABELS, "vals": vals,
    } | _checked(studio, row, check)  # fmt: skip


def _checked(studio: Studio, row: Dataset, check: bool) -> dict[str, Any]:
    """What the check found; errors apart from all else, which is folded."""
    if not check:
        return {"checked": None}
    found = checking.check(studio, row.id)
    graves, others = ([f for f in found.findings if (f.severity == "error") is wanted] for wanted in (True, False))
    warnings = sum(f.severity == "warning" for f in others)
    told = [f"{warnings} warning{'' if warnings == 1 else 's'}"] if warnings else []
    told += [f"{len(others) - warnings} to think about"] if len(others) > warnings else []
    return {"checked": found, "graves": graves, "others": others, "others_told": ", ".join(told)}


def _noun(row: Dataset, count: int) -> str:
    one = "pair" if row.kind == "edit" else "picture"
    return one if count == 1 else f"{one}s"


def mark(name: str) -> str:
    """A picture's name as a part of an element's id."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def vals(**values: Any) -> str:
    """For hx-vals. Names go as one JSON text: a form knows no lists."""
    return json.dumps({k: json.dumps(v) if isinstance(v, list) else v for k, v in values.items() if v is not None})


def _again(request: Request, studio: Studio, dataset: str, shown: int, words: str = "") -> HTMLResponse:
    """The pictures, after something was done; other parts of the page hear of it as 'dataset'."""
    row = datasets.get(studio, dataset)
    answer = part(request, "_dataset_pictures.html", toast=words, **_pictures(studio, row, shown, check=True))
    answer.headers["HX-Trigger"] = TELL_OTHERS
    return answer


@router.post("/caption")
def write_caption(
    request: Request, studio: Opened, dataset: str, name: Text, caption: Text = "", shown: Shown = SHOWN
) -> HTMLResponse:
    captions.set_caption(studio, dataset, name, caption)
    return _again(request, studio, dataset, shown)


@router.post("/fix")
def fix(
    request: Request, studio: Opened, dataset: str, fix: Text, images: Text = "", shown: Shown = SHOWN
) -> HTMLResponse:
    return _again(request, studio, dataset, shown, checking.fix(studio, dataset, fix, _names(images)).words)


def _names(text: str) -> list[str] | None:
    if not text:
        return None
    try:
        found: Any = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):  # pyright: ignore[reportUnknownVariableType]
        raise InputError("images: are not names. Fix: reload the page")
    return found  # pyright: ignore[reportUnknownVariableType]


@router.get("/crop")
def show_crop(request: Request, studio: Opened, dataset: str, name: str) -> HTMLResponse:
    """One picture, large, with its crop box."""
    row, picture = datasets.get(studio, dataset), datasets.find(studio, dataset, name)
    card = find_card(row.base) if row.base else None
    return part(request, "_dataset_crop.html", row=row, picture=picture, box=_box_text(picture), vals=vals,
                least=card.resolution if card else 1024, stamp=files.stamp(picture.path))  # fmt: skip


@router.post("/crop")
def crop(
    request: Request, studio: Opened, dataset: str, name: Text, crop: Text = "", shown: Shown = SHOWN
) -> HTMLResponse:
    """`crop`: left, top, width and height as shares of the picture, with commas between; '' for all of it."""
    box = None
    if crop:
        try:
            x, y, width, height = (float(share) for share in crop.split(","))
        except ValueError:
            raise InputError("crop: is not x,y,width,height. Fix: reload the page") from None
        box = (x, y, width, height)
    crops.set_crop(studio, dataset, name, box)
    return _again(request, studio, dataset, shown)


def _box_text(picture: Picture) -> str:
    return ",".join(f"{share:.6f}" for share in picture.crop) if picture.crop else ""


@router.post("/square")
def square(request: Request, studio: Opened, dataset: str, shown: Shown = SHOWN) -> HTMLResponse:
    """All pictures that are not square, and that nobody has cropped."""
    found, _ = files.listed(studio, dataset, MOST_SHOWN)
    count = crops.square(studio, dataset, [p.name for p in found if p.crop is None])
    return _again(request, studio, dataset, shown, f"{count} cropped to squares." if count else "All are square.")


@router.post("/undo")
def undo(
    request: Request, studio: Opened, dataset: str, step: Annotated[int, Form(ge=1, le=10**9)], shown: Shown = SHOWN
) -> HTMLResponse:
    done, left = steps.undo(studio, dataset, step)
    words = f"Undone: {done.what}."
    if left:
        words += f" Left as they are, since they have changed: {', '.join(left[:5])}{' …' if len(left) > 5 else ''}"
    return _again(request, studio, dataset, shown, words)


@router.get("/steps")
def show_steps(request: Request, studio: Opened, dataset: str) -> HTMLResponse:
    row = datasets.get(studio, dataset)
    return part(request, "_dataset_steps.html", row=row, steps=steps.listed(studio, row.id, 100), vals=vals)


@router.post("/forget")
def forget_uploads(request: Request, studio: Opened, dataset: str, shown: Shown = SHOWN) -> HTMLResponse:
    """Let go of uploads that were cut off."""
    uploads.forget(studio, f"dataset:{datasets.get(studio, dataset).id}")
    return _again(request, studio, dataset, shown)


# --- captions in bulk


@router.post("/replace")
def replace(
    request: Request, studio: Opened, dataset: str, find: Text = "", replace: Text = "", words: Text = "",
    any_case: Text = "", shown: Shown = SHOWN,
) -> HTMLResponse:  # fmt: skip
    changed = captions.replace(studio, dataset, find, replace, words=bool(words), case=not any_case)
    return _again(request, studio, dataset, shown, f"{len(changed)} captions changed.")


@router.post("/prefix")
def prefix(request: Request, studio: Opened, dataset: str, prefix: Text = "", shown: Shown = SHOWN) -> HTMLResponse:
    changed = captions.prefix(studio, dataset, prefix)
    return _again(request, studio, dataset, shown, f"{len(changed)} captions changed.")


@router.post("/auto")
def auto(
    request: Request, studio: Opened, dataset: str, engine: Text = "shipped", model: Text = "", endpoint: Text = "",
    overwrite: Text = "none", traits: Text = "leave-out", max_words: Text = "", leave_out: Text = "",
    instruction: Text = "", shown: Shown = SHOWN,
) -> HTMLResponse:  # fmt: skip
    """Queue a machine to write captions; they appear as they are made."""
    asked: dict[str, Any] = {"engine": engine, "traits": traits, "instruction": instruction}
    asked |= {"model": model} if engine != "shipped" else {}
    asked |= {"max_words": max_words} if max_words else {}
    asked |= {"leave_out": [leave_out]} if leave_out else {}
    jobs.caption_as(studio, dataset, asked, {"endpoint": endpoint} if engine in jobs.SERVERS else {}, overwrite)
    return _again(request, studio, dataset, shown)


@router.post("/stop")
def stop(request: Request, studio: Opened, dataset: str, job: Text, shown: Shown = SHOWN) -> HTMLResponse:
    """Stop one of its jobs; what was written stays."""
    row = datasets.get(studio, dataset)
    if job not in {running.id for running in jobs.running(studio, row.id)}:
        return said("It has ended already.", "note")
    queue.ask_to_stop(studio, job, "canceled")
    return _again(request, studio, dataset, shown)


# --- pairs


@router.post("/pair")
def pair(
    request: Request, studio: Opened, dataset: str, source: Text, target: Text, instruction: Text = "",
    shown: Shown = SHOWN,
) -> HTMLResponse:  # fmt: skip
    if source == target:
        raise Conflict("before and after are the same picture. Fix: choose two")
    pairs.add(studio, dataset, [pairs.Asked([source], target, instruction or None)])
    return _again(request, studio, dataset, shown)


@router.post("/separate")
def separate(request: Request, studio: Opened, dataset: str, name: Text, shown: Shown = SHOWN) -> HTMLResponse:
    pairs.separate(studio, dataset, [name])
    return _again(request, studio, dataset, shown)
