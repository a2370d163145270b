"""LoRAs merged into a new model of the library. The merging is a job of the queue, on the processor."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likeness.catalog import find_card, place_of
from likeness.errors import InputError, NotFound
from likeness.report.history import mapping
from likeness.service.lora_files import Merge, Method, Size, order_merge
from likeness.service.samples import LoraUse
from likeness.store.tables import Job, Model, new_id
from likeness.studio import lora_choice, lora_file, model_cards, models, queue
from likeness.studio.file_names import file_stem
from likeness.studio.generations import in_fields
from likeness.studio.lora_choice import LoraChoice
from likeness.studio.models import Words
from likeness.studio.queue import Entry
from likeness.studio.supervisor import Ending
from likeness.studio.workspace import Studio

SUBJECT = "merge"
# Each with what it does, for the pages.
METHODS: dict[Method, str] = {
    "concat": "The sum of all, exactly. The file grows with each.",
    "svd": "The sum, cut to a rank or to a share of its energy. A smaller file, a small error, which is told.",
    "linear": "The mean, weighted by the strengths. For several trainings of the same thing.",
    "ties": "Only the largest changes of each; where they pull against each other, the stronger side. For LoRAs that "
    "spoil each other.",
    "dare": "Changes dropped at random and the rest enlarged. Another try where LoRAs spoil each other.",
}


@dataclass(frozen=True)
class MergeRequest:
    """What becomes of which LoRAs. None: as usual for the method. `rank` and `keep` cut; see `METHODS`."""

    name: str
    loras: tuple[LoraChoice, ...]
    method: Method = "concat"
    rank: int | None = None
    keep: float | None = None
    density: float | None = None
    drop: float | None = None
    seed: int | None = None
    description: str = ""
    tags: Sequence[str] = ()


def merge(studio: Studio, request: MergeRequest) -> Job:
    """Queue a merge; its result comes into the library as `request.name`.

    Raises InputError for LoRAs that do not go together or settings that do not do, NotFound for one that is not there.
    """
    chosen = lora_choice.choose(studio, request.loras)
    if len(chosen) < (2 if request.rank is None and request.keep is None else 1):
        raise InputError("loras: one alone is no merge. Fix: choose at least two")
    if idle := next((one for one in chosen if one.strength == 0), None):
        raise InputError(f"loras: '{idle.name}' at strength 0 adds nothing. Fix: leave it out")
    families = list(dict.fromkeys(one.family for one in chosen if one.family))
    if len(families) > 1:
        raise InputError(f"loras: they are of families {' and '.join(families)}. Fix: choose LoRAs of one family")
    models.check_words(Words(request.name, request.description, request.tags))
    base = next((one for one in chosen if one.base), None)
    job_id = new_id()
    output = studio.jobs / job_id / f"{file_stem(request.name, 'merged')}.safetensors"
    asked = Merge(
        loras=tuple(LoraUse(one.path, one.strength) for one in chosen),
        output=output,
        method=request.method,
        size=Size(request.rank, request.keep),
        density=request.density,
        drop=request.drop,
        seed=request.seed,
        base=base.base if base and len({one.base for one in chosen}) == 1 and _is_here(base.base) else None,
        device="cpu",
        overwrite=True,  # of an earlier try of this job
    )
    try:
        order = order_merge(asked)
    except InputError as e:
        raise in_fields(e, {}) from e
    kinds = {one.kind for one in chosen}
    extra: dict[str, Any] = {
        "name": request.name,
        "description": request.description,
        "tags": list(request.tags),
        "method": request.method,
        "base": base.base if base else "",
        "family": families[0] if families else "",
        "kind": kinds.pop() if len(kinds) == 1 else "",
        "triggers": list(dict.fromkeys(trigger for one in chosen for trigger in one.triggers)),
        "parents": [one.model_id for one in chosen if one.model_id],
        "loras": [one.told() | {"epoch": one.epoch} for one in chosen],
    }
    title = f"merge {' + '.join(one.name for one in chosen)}"[:120]
    return queue.submit(studio, order, Entry(title, SUBJECT, extra, light=True), job_id)


def _is_here(base: str) -> bool:
    """Whether the base is known on this machine: a bundle may name one that is not."""
    return find_card(base) is not None or place_of(base) is not None


def take(studio: Studio, job: Job, result: dict[str, Any]) -> dict[str, Any] | None:
    """The end of a job 'merge': a model of the library. Its id is the job's, so that there is never a second one."""
    if job.subject != SUBJECT:
        return None
    told, path = job.extra, Path(str(result["path"]))
    try:
        return {"model_id": models.get(studio, job.id, binned=True).id}  # a server was killed just after
    except NotFound:
        pass
    facts = lora_file.read_facts(path)
    lineage = [{key: row[key] for key in ("name", "sha256", "strength", "epoch")} for row in told["loras"]]
    model = Model(
        id=job.id,
        origin="merge",
        base=told["base"] or facts.base,
        family=told["family"] or str(result.get("family") or facts.family),
        kind=told["kind"],
        trigger=", ".join(told["triggers"]),
        parents=told["parents"],
        card=model_cards.facts_of_file(facts)
        | model_cards.facts_of_base(told["base"])
        | {"lineage": lineage, "made": {"by": "merge", "method": told["method"], "error": result.get("error")}},
    )
    words = Words(told["name"], told["description"], told["tags"])
    model_id = models.add(studio, model, words, path).id
    path.unlink(missing_ok=True)
    return {"model_id": model_id}


ENDINGS: dict[str, Ending] = {"merge": take}


def model_of(studio: Studio, job_id: str) -> tuple[Job, Model | None]:
    """A merge's job, and its model once there is one. Raises NotFound for what is no merge."""
    job = queue.get(studio, job_id)
    if job.subject != SUBJECT:
        raise NotFound(f"no merge '{job_id[:40]}'. Fix: take an id that a merge was given")
    model_id = mapping(job.result).get("model_id")
    try:
        return job, models.get(studio, str(model_id)) if model_id else None
    except NotFound:
        return job, None
