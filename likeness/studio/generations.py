"""Pictures drawn on request: ordered, followed while they appear, and kept with everything that drew them.

A generation is a job of the queue; its pictures lie in `pictures/JOB/`. A picture's row is made when somebody looks and
its file is there, so pictures of a running, stopped or failed job count as well, and none is counted twice.
"""

import json
import math
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.sqlite import insert

from likeness.config.hardware import HardwareConfig
from likeness.config.sampling import LARGEST, SEED_LIMIT, SMALLEST
from likeness.dataset.wording import one_line
from likeness.errors import InputError, NotFound
from likeness.report.history import mapping
from likeness.service import samples
from likeness.service.samples import LoraUse, SampleJob
from likeness.service.workers import JOB_NAME, Order
from likeness.store.tables import Job, Picture, new_id
from likeness.studio import lora_choice, queue, reference_pictures, thumbnails
from likeness.studio.lora_choice import Chosen, LoraChoice, TriggerHelp
from likeness.studio.queue import Entry
from likeness.studio.supervisor import Ending
from likeness.studio.workspace import Studio

MOST_PICTURES = 100  # of one generation
MOST_STEPS, LONGEST_PROMPT, MOST_STRENGTHS = 1000, 10_000, 12
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
SUBJECT, BINNED = "generation", "generation in the bin"
_FIELDS = {"reference": "references", "lora": "loras"}
_OPTION = re.compile(r"--([a-z][a-z-]+)")


@dataclass(frozen=True)
class GenerationRequest:
    """What to draw. None and empty stand for the base's own value; `base` for that of the first LoRA.

    `batch` pictures are drawn, from `seed` (None: any) on, or one for each of `seeds`; with `strengths`, each of them
    at every one of these strengths of the first LoRA. `references` are named as in `reference_pictures`.
    """

    prompt: str
    loras: tuple[LoraChoice, ...] = ()
    base: str = ""
    negative_prompt: str = ""
    seed: int | None = None
    seeds: tuple[int, ...] = ()
    batch: int = 1
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    references: tuple[str, ...] = ()
    strengths: tuple[float, ...] = ()
    precision: str = "auto"


@dataclass(frozen=True)
class Checked:
    """A request that can be drawn: with every LoRA found, and words on what may be meant otherwise."""

    request: GenerationRequest
    job: SampleJob
    chosen: list[Chosen]
    triggers: TriggerHelp
    warnings: list[str]


@dataclass(frozen=True)
class Generation:
    """A job and its pictures so far, in their order; `total` is how many there will be."""

    job: Job
    pictures: list[Picture]
    total: int

    @property
    def request(self) -> dict[str, Any]:
        return mapping(self.job.extra.get("request"))

    @property
    def warnings(self) -> list[str]:
        return list(self.job.extra.get("warnings") or [])


# --- ordering


def check(studio: Studio, request: GenerationRequest) -> Checked:
    """Whether this can be drawn, and what should be known before. Raises InputError; nothing is written."""
    _check_numbers(request)
    chosen = lora_choice.choose(studio, request.loras)
    base = lora_choice.base_for(chosen, request.base)
    references = tuple(reference_pictures.path_of(studio, text) for text in request.references)
    seeds = request.seeds or _seeds(request)
    job = SampleJob(
        base=base.name,
        prompts=(request.prompt,),
        loras=tuple(LoraUse(one.path, one.strength) for one in chosen),
        negative_prompt=request.negative_prompt,
        seeds=seeds,
        width=request.width,
        height=request.height,
        steps=request.steps,
        guidance=request.guidance,
        references=references,
        parts_from=base.parts_from,
        hardware=HardwareConfig.model_validate({"precision": request.precision}),
        strengths=request.strengths,
        go_on=True,
    )
    _order(job, studio.pictures)
    triggers = lora_choice.trigger_help(request.prompt, chosen)
    warnings = triggers.in_words() + lora_choice.doubts(chosen, base.name)
    if references and not all(c.kind in ("edit", "") for c in chosen):
        warnings.append("A LoRA here was not trained for edits; a source picture may keep it from showing.")
    return Checked(request, job, chosen, triggers, warnings)


def generate(studio: Studio, request: GenerationRequest) -> Generation:
    """Queue pictures to be drawn. Raises InputError, and Conflict where too many jobs wait."""
    checked = check(studio, request)
    job_id = new_id()
    order = _order(checked.job, studio.pictures / job_id)
    total = len(order.content["requests"])
    title = f"{total} {'picture' if total == 1 else 'pictures'}: {one_line(request.prompt)[:80]}"
    extra: dict[str, Any] = {
        "request": asdict(_settled(request, checked)),
        "loras": [one.told() for one in checked.chosen],
        "warnings": checked.warnings,
        "total": total,
    }
    return Generation(queue.submit(studio, order, Entry(title, SUBJECT, extra), job_id), [], total)


def _order(job: SampleJob, folder: Path) -> Order:
    """Writes nothing. Raises InputError."""
    try:
        return samples.order(job, folder)
    except InputError as e:
        raise in_fields(e, _FIELDS) from e


def _settled(request: GenerationRequest, checked: Checked) -> GenerationRequest:
    """The request with what was chosen for it, to be repeated whatever becomes of defaults."""
    loras = tuple(LoraChoice(one.lora, one.strength) for one in checked.chosen)
    return replace(request, seed=checked.job.seeds[0], base=checked.job.base, loras=loras)


def _seeds(request: GenerationRequest) -> tuple[int, ...]:
    first = secrets.randbelow(SEED_LIMIT + 1) if request.seed is None else request.seed
    return tuple((first + number) % (SEED_LIMIT + 1) for number in range(request.batch))


def _check_numbers(request: GenerationRequest) -> None:
    problems: list[str] = []
    if not request.prompt.strip() or len(request.prompt) > LONGEST_PROMPT:
        problems.append(f"prompt: has {len(request.prompt.strip())} characters. Fix: give it 1 to {LONGEST_PROMPT:,}")
    if len(request.negative_prompt) > LONGEST_PROMPT:
        problems.append(f"negative_prompt: is longer than {LONGEST_PROMPT:,} characters. Fix: make it shorter")
    for name, value, low, high in (
        ("seed", request.seed, 0, SEED_LIMIT),
        ("batch", request.batch, 1, MOST_PICTURES),
        ("width", request.width, SMALLEST, LARGEST),
        ("height", request.height, SMALLEST, LARGEST),
        ("steps", request.steps, 1, MOST_STEPS),
        *(("seeds", seed, 0, SEED_LIMIT) for seed in request.seeds),
    ):
        if value is not None and not low <= value <= high:
            problems.append(f"{name}: {value} is out of range. Fix: from {low} to {high:,}")
    if len(request.strengths) > MOST_STRENGTHS:
        problems.append(f"strengths: {len(request.strengths)} are too many. Fix: at most {MOST_STRENGTHS}")
    if request.strengths and not request.loras:
        problems.append("strengths: there is no LoRA to be compared. Fix: choose one, or leave them out")
    if not all(math.isfinite(s) and -4 <= s <= 4 for s in request.strengths):
        problems.append("strengths: not all lie in range. Fix: from -4 to 4, such as 0.5, 0.75 and 1")
    total = (len(request.seeds) or max(request.batch, 0)) * max(1, len(request.strengths))
    if total > MOST_PICTURES:
        problems.append(f"batch: {total} pictures are too many at once. Fix: at most {MOST_PICTURES}")
    if request.precision not in PRECISIONS:
        problems.append(f"precision: there is no '{one_line(request.precision)[:20]}'. Fix: {', '.join(PRECISIONS)}")
    if problems:
        raise InputError(*problems)


def in_fields(error: InputError, fields: dict[str, str]) -> InputError:
    """An error that speaks of a command's options, with the names of fields instead."""

    def name(found: re.Match[str]) -> str:
        return fields.get(found[1], found[1].replace("-", "_"))

    return type(error)(*(_OPTION.sub(name, problem) for problem in error.problems))


# --- the pictures


def collect(studio: Studio, job: Job) -> list[Picture]:
    """Rows for all pictures of a job that lie in its folder. Those that are known already stay as they are."""
    try:
        content: dict[str, Any] = json.loads((Path(job.folder) / JOB_NAME).read_text())
    except (OSError, ValueError):
        return []
    known = {picture.id for picture in _pictures(studio, [job.id], binned=True)}
    rows: list[dict[str, Any]] = []
    for number, output in enumerate(content["outputs"], start=1):
        path, picture_id = Path(output), f"{job.id}-{number:03d}"
        if picture_id not in known and path.is_file():
            rows.append(_row(studio, job, content, number - 1, path) | {"id": picture_id})
    if rows:
        with studio.database.session() as session:
            session.execute(insert(Picture).on_conflict_do_nothing(), rows)
        thumbnails.prepare(studio, (studio.pictures / row["file"] for row in rows))
    return _pictures(studio, [job.id])


def _row(studio: Studio, job: Job, content: dict[str, Any], index: int, path: Path) -> dict[str, Any]:
    asked, request = content["requests"][index], mapping(job.extra.get("request"))
    strengths = content.get("strengths")
    loras = [dict(told) for told in job.extra.get("loras") or []]
    for told, strength in zip(loras, strengths[index] if strengths else [], strict=False):
        told["strength"] = strength
    settings = {key: value for key, value in asked.items() if key not in ("prompt", "references")}
    return {
        "job_id": job.id,
        "file": str(path.relative_to(studio.pictures)),
        "base": content["base"],
        "prompt": asked["prompt"],
        "settings": settings | {"references": list(request.get("references") or []), "loras": loras,
                                "precision": request.get("precision", "auto")},
        "created": path.stat().st_mtime,
        "pinned": False,
    }  # fmt: skip


def take(studio: Studio, job: Job, result: dict[str, Any]) -> dict[str, Any] | None:
    """The end of a job 'sample': its pictures are in the database from now on."""
    if not job.subject.startswith(SUBJECT):
        return None
    return {"picture_ids": [picture.id for picture in collect(studio, job)]}


ENDINGS: dict[str, Ending] = {"sample": take}


def _pictures(studio: Studio, job_ids: Sequence[str], *, binned: bool = False) -> list[Picture]:
    query = select(Picture).where(Picture.job_id.in_(job_ids)).order_by(Picture.id)
    if not binned:
        query = query.where(Picture.deleted.is_(None))
    with studio.database.reading() as session:
        return list(session.scalars(query))


# --- generations


def get(studio: Studio, job_id: str) -> Generation:
    """Raises NotFound where there is no such generation, or it is in the bin."""
    job = queue.get(studio, job_id)
    if job.subject != SUBJECT:
        raise NotFound(f"no generation '{one_line(job_id)[:40]}'. Fix: take an id from the history")
    return Generation(job, collect(studio, job), int(job.extra.get("total") or 0))


def history(studio: Studio, limit: int = 20, offset: int = 0) -> tuple[list[Generation], int]:
    """Generations, newest first, and how many there are in all."""
    with studio.database.reading() as session:
        there = select(Job).where(Job.subject == SUBJECT)
        total = session.scalar(select(func.count()).select_from(Job).where(Job.subject == SUBJECT)) or 0
        jobs = list(session.scalars(there.order_by(Job.created.desc(), Job.id).offset(offset).limit(limit)))
    for job in jobs:
        if job.state != "finished" and job.state != "queued":  # what is finished has been collected
            collect(studio, job)
    by_job: dict[str, list[Picture]] = {job.id: [] for job in jobs}
    for picture in _pictures(studio, list(by_job)):
        by_job[picture.job_id].append(picture)
    return [Generation(job, by_job[job.id], int(job.extra.get("total") or 0)) for job in jobs], total


def request_of(studio: Studio, job_id: str) -> GenerationRequest:
    """Everything that was asked for, to be asked again or changed. Raises NotFound."""
    return _request(get(studio, job_id).request)


def request_for(picture: Picture) -> GenerationRequest:
    """What draws this one picture again."""
    settings = picture.settings
    return _request({
        **{key: settings.get(key) for key in ("negative_prompt", "seed", "width", "height", "steps", "guidance")},
        "prompt": picture.prompt, "base": picture.base, "references": settings.get("references"),
        "loras": settings.get("loras"), "precision": settings.get("precision"),
    })  # fmt: skip


def _request(tree: dict[str, Any]) -> GenerationRequest:
    given = {key: value for key, value in tree.items() if value is not None}
    given["loras"] = tuple(LoraChoice(str(use["lora"]), use.get("strength")) for use in given.get("loras") or [])
    for key in ("seeds", "references", "strengths"):
        given[key] = tuple(given.get(key) or ())
    return GenerationRequest(**given)


def delete(studio: Studio, job_id: str) -> Generation:
    """A generation with its pictures into the bin; one that still runs is canceled. Raises NotFound."""
    found = get(studio, job_id)
    if found.job.state in queue.OPEN:
        queue.ask_to_stop(studio, job_id, "canceled")
    moment = time.time()
    with studio.database.session() as session:
        session.execute(update(Job).where(Job.id == job_id).values(subject=BINNED))
        session.execute(
            update(Picture).where(Picture.job_id == job_id, Picture.deleted.is_(None)).values(deleted=moment)
        )
    return found


def restore(studio: Studio, job_id: str) -> Generation:
    """Out of the bin again, with the pictures that went in with it. Raises NotFound."""
    if queue.get(studio, job_id).subject != BINNED:
        raise NotFound(f"no generation '{one_line(job_id)[:40]}' in the bin. Fix: reload the page")
    with studio.database.session() as session:
        session.execute(update(Job).where(Job.id == job_id).values(subject=SUBJECT))
        last = select(func.max(Picture.deleted)).where(Picture.job_id == job_id).scalar_subquery()
        together = update(Picture).where(Picture.job_id == job_id, Picture.deleted == last)
        session.execute(together.values(deleted=None), execution_options={"synchronize_session": False})
    return get(studio, job_id)
