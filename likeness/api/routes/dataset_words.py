"""What is said of a dataset: captions in bulk and by machines, the trigger, findings with their fixes, test prompts."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from likeness.api.routes.jobs import JobTold
from likeness.api.shapes import Asked, Opened, Told
from likeness.config.caption import CaptionConfig, ServerConfig, TaggerConfig
from likeness.dataset.checks import Severity
from likeness.studio.datasets import captions, checking, jobs

router = APIRouter(prefix="/datasets/{dataset}", tags=["datasets"])

Some = Annotated[list[str] | None, Field(max_length=10_000, description="Names of pictures; unset: all.")]


class Replacing(Asked):
    find: str = Field(min_length=1, max_length=1000)
    replace: str = Field(default="", max_length=1000)
    words: bool = Field(default=False, description="Whole words only.")
    case: bool = Field(default=True, description="Tell capitals from small letters.")
    images: Some = None


class Prefixing(Asked):
    prefix: str = Field(min_length=1, max_length=1000)
    images: Some = None


class SomeAsked(Asked):
    images: Some = None


class ChangedTold(Told):
    changed: list[str] = Field(description="Names of the pictures whose caption is another now.")


class AuditTold(Told):
    trigger: str
    has: list[str]
    lacks: list[str]
    spelled_otherwise: dict[str, str] = Field(description="Picture and what stands there.")
    without_caption: list[str]
    is_a_word: bool = Field(description="It means something already.")


class Captioning(Asked):
    caption: CaptionConfig = Field(default_factory=CaptionConfig)
    server: ServerConfig = Field(default_factory=ServerConfig)
    tagger: TaggerConfig = Field(default_factory=TaggerConfig)
    overwrite: Literal["none", "machine", "all"] = Field(
        default="none", description="Captions that may be replaced. A person's words are kept in the record."
    )


class FindingTold(Told):
    check: str
    severity: Severity
    images: list[str] = Field(description="Names of pictures, of pairs those after; none where it is about the whole.")
    message: str
    fix: str
    fixes: list[str] = Field(description="What POST …/fixes can do about it.")


class CheckTold(Told):
    findings: list[FindingTold]
    notes: list[str]
    count: int = Field(description="Of pictures or pairs that can be used.")
    trigger: str


class Fixing(Asked):
    fix: Literal[tuple(checking.FIXES)]  # pyright: ignore[reportInvalidTypeForm]
    images: Some = None


class FixedTold(Told):
    words: str
    job: JobTold | None = Field(description="That does it; without one it is done.")


class IdeaTold(Told):
    slot: str
    prompt: str
    why: str


class PromptsTold(Told):
    prompts: list[IdeaTold]
    notes: list[str]


@router.post("/captions/replace")
def replace_in_captions(studio: Opened, dataset: str, asked: Replacing) -> ChangedTold:
    """Find and replace, as one step that can be undone."""
    return ChangedTold(changed=captions.replace(studio, dataset, asked.find, asked.replace, words=asked.words,
                                                case=asked.case, names=asked.images))  # fmt: skip


@router.post("/captions/prefix")
def put_in_front_of_captions(studio: Opened, dataset: str, asked: Prefixing) -> ChangedTold:
    """Put words in front of captions that do not begin with them."""
    return ChangedTold(changed=captions.prefix(studio, dataset, asked.prefix, asked.images))


@router.get("/captions/trigger")
def audit_trigger(studio: Opened, dataset: str) -> AuditTold:
    """Which captions have the trigger."""
    return AuditTold.model_validate(captions.audit(studio, dataset))


@router.post("/captions/trigger")
def add_trigger(studio: Opened, dataset: str, asked: SomeAsked) -> ChangedTold:
    """Write the trigger into captions that lack it, and set it right where it is misspelled."""
    return ChangedTold(changed=captions.add_trigger(studio, dataset, asked.images))


@router.post("/captions", status_code=202)
def write_captions(studio: Opened, dataset: str, asked: Captioning) -> JobTold:
    """Queue a machine to write them. A person's captions stay, unless `overwrite` is 'all'."""
    job = jobs.caption(studio, dataset, asked.caption, asked.server, asked.tagger, asked.overwrite)
    return JobTold.model_validate(job)


@router.get("/check")
def check_dataset(studio: Opened, dataset: str, base: Annotated[str, Query(max_length=500)] = "") -> CheckTold:
    """What a person should know before training on it, for its base or another. The first time takes a while."""
    return CheckTold.model_validate(checking.check(studio, dataset, base or None))


@router.post("/fixes")
def fix_dataset(studio: Opened, dataset: str, asked: Fixing) -> FixedTold:
    """Do what a finding offers; without `images`, wherever it is offered. Each can be undone."""
    return FixedTold.model_validate(checking.fix(studio, dataset, asked.fix, asked.images))


@router.get("/prompts")
def suggest_prompts(studio: Opened, dataset: str) -> PromptsTold:
    """Test prompts for it, by rules."""
    found = checking.suggest(studio, dataset)
    return PromptsTold(prompts=[IdeaTold.model_validate(idea) for idea in found.ideas], notes=found.notes)
