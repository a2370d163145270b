"""Runs: planned, started, followed, stopped, gone on with, put away."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.responses import PlainTextResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

from likeness.api.routes.jobs import JobTold
from likeness.api.run_shapes import (
    BinTold,
    ConfigTold,
    CostTold,
    DatasetUsed,
    DeletedTold,
    ExtendAsked,
    FindingTold,
    LengthTold,
    PlanAsked,
    PlanTold,
    RunChange,
    RunsTold,
    RunTold,
    RunWhole,
    StartAsked,
    StartTold,
    StopAsked,
    SuggestionTold,
)
from likeness.api.shapes import Opened
from likeness.config.load import schema
from likeness.dataset.checks import Finding
from likeness.errors import InputError
from likeness.studio import aliases, run_bin, run_events, run_files, runs
from likeness.studio.workspace import Studio

router = APIRouter(tags=["runs"])


@router.get("/schema")
def get_schema() -> dict[str, Any]:
    """The JSON schema of a run's settings."""
    return schema()


@router.post("/runs/plan")
def plan_run(studio: Opened, asked: PlanAsked) -> PlanTold:
    """Check settings and tell what the run would be and cost. Nothing is started."""
    config, notes = _config(studio, asked)
    planned = runs.plan(studio, config)
    return PlanTold(
        digest=planned.digest,
        name=planned.name,
        name_taken=planned.name_taken,
        config=config,
        yaml=planned.yaml,
        plan=LengthTold.model_validate(planned.plan),
        cost=CostTold.model_validate(planned.cost),
        findings=[finding_told(f) for f in planned.findings],
        suggestions=[SuggestionTold.model_validate(s) for s in planned.suggestions],
        notes=[*notes, *planned.notes],
        datasets=[DatasetUsed.model_validate(use) for use in planned.datasets],
    )


@router.post("/runs/translate")
def translate_request(studio: Opened, asked: PlanAsked) -> ConfigTold:
    """A hosted trainer's request as settings, to look at or to change before they are planned."""
    config, notes = _config(studio, asked)
    return ConfigTold(config=config, notes=notes)


@router.post("/runs", status_code=201)
def start_run(studio: Opened, asked: StartAsked) -> StartTold:
    """Start exactly what was planned; a Conflict where it is no longer that."""
    started = runs.start(
        studio, asked.config, asked.digest, parent_run=asked.parent_run, parent_epoch=asked.parent_epoch,
        note=asked.note, priority=asked.priority, mock=asked.mock,
    )  # fmt: skip
    return StartTold(name=started.name, job=JobTold.model_validate(started.job))


@router.get("/runs")
def list_runs(
    studio: Opened,
    archived: bool = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> RunsTold:
    """All runs of the workspace, newest first; also those that the command line trained."""
    found = runs.listed(studio, archived=archived)
    return RunsTold(runs=[RunTold.model_validate(r) for r in found[offset : offset + limit]], total=len(found))


@router.get("/runs/{name}")
def get_run(studio: Opened, name: str) -> RunWhole:
    return RunWhole.model_validate(runs.view(studio, name))


@router.patch("/runs/{name}")
def change_run(studio: Opened, name: str, asked: RunChange) -> RunTold:
    """Change its note, archive it or take it back."""
    if asked.note is not None:
        runs.note(studio, name, asked.note)
    if asked.archived is not None:
        runs.archive(studio, name, archived=asked.archived)
    return RunTold.model_validate(runs.summary_of(studio, name))


@router.delete("/runs/{name}")
def delete_run(studio: Opened, name: str) -> DeletedTold:
    """Put a run into the bin."""
    return DeletedTold.model_validate(run_bin.delete(studio, name))


@router.get("/bin/runs")
def list_deleted_runs(studio: Opened) -> BinTold:
    return BinTold(runs=[DeletedTold.model_validate(d) for d in run_bin.listed(studio)])


@router.post("/bin/runs/{bin_id}/restore")
def restore_run(studio: Opened, bin_id: str) -> RunTold:
    """Take a run out of the bin."""
    return RunTold.model_validate(runs.summary_of(studio, run_bin.restore(studio, bin_id)))


@router.delete("/bin/runs/{bin_id}", status_code=204)
def erase_run(studio: Opened, bin_id: str) -> None:
    """Delete a run for good."""
    run_bin.erase(studio, bin_id)


@router.post("/runs/{name}/stop")
def stop_run(studio: Opened, name: str, asked: StopAsked) -> JobTold:
    """Save and end; it can go on later. Asked a second time it ends at once."""
    return JobTold.model_validate(runs.stop(studio, name, asked.become))


@router.post("/runs/{name}/resume")
def resume_run(studio: Opened, name: str) -> JobTold:
    """Queue a run that stopped before its end; it goes on where it was."""
    return JobTold.model_validate(runs.resume(studio, name))


@router.post("/runs/{name}/extend")
def extend_run(studio: Opened, name: str, asked: ExtendAsked) -> JobTold:
    """Go on with a finished run until it has more epochs, as if it had been that long from the start."""
    return JobTold.model_validate(runs.extend(studio, name, asked.epochs))


@router.post("/runs/{name}/sample-now", status_code=202)
def sample_now(studio: Opened, name: str) -> None:
    """Have the test prompts drawn at the next step; they come as events `sample_now`."""
    runs.sample_now(studio, name)


@router.get("/runs/{name}/settings")
def get_settings(studio: Opened, name: str, epoch: Annotated[int | None, Query(ge=1, le=10**6)] = None) -> ConfigTold:
    """Settings for a run like this one; with `epoch`, it goes on from that LoRA."""
    return ConfigTold(config=runs.retrain(studio, name, epoch))


@router.get("/runs/{name}/log", response_class=PlainTextResponse)
def get_log(studio: Opened, name: str) -> PlainTextResponse:
    """The end of what the worker printed."""
    return PlainTextResponse(run_files.log_tail(studio, name), headers={"X-Content-Type-Options": "nosniff"})


@router.get("/runs/{name}/events", responses={200: {"content": {"text/event-stream": {}}}})
async def follow_run(
    studio: Opened,
    name: str,
    after: Annotated[int, Query(ge=0, le=2**60, description="An event's id; those after it are told.")] = 0,
    last_event_id: Annotated[str | None, Header()] = None,
) -> EventSourceResponse:
    """Its events as they come, as a stream of server-sent events; `close` is the last one.

    An event's id is a place in the run's log: who comes back with it as Last-Event-ID misses nothing and gets nothing
    twice. Of steps that are past when the stream begins, some 500 are told.
    """
    runs.folder_of(studio, name)  # what is not there is told before the stream begins
    start = int(last_event_id) if last_event_id and last_event_id.isdecimal() and len(last_event_id) < 18 else after
    return EventSourceResponse(_stream(studio, name, start), ping=15, headers={"Cache-Control": "no-store"})


async def _stream(studio: Studio, name: str, after: int) -> AsyncGenerator[ServerSentEvent]:
    async for told in run_events.follow(studio, name, after):
        yield ServerSentEvent(told.data, event=told.kind, id=told.id)


def finding_told(finding: Finding) -> FindingTold:
    names = [Path(path).name for path in finding.images]
    return FindingTold(check=finding.check, severity=finding.severity, images=names, message=finding.message,
                       fix=finding.fix)  # fmt: skip


def _config(studio: Studio, asked: PlanAsked) -> tuple[dict[str, Any], list[str]]:
    """The settings that are asked for, and what is to be known of them."""
    if (asked.config is None) == (asked.dialect is None):
        raise InputError("config: give either config, or dialect and request. Fix: leave one of them out")
    if asked.config is not None:
        return asked.config, []
    if asked.dialect is None or asked.request is None:
        raise InputError("request: is missing. Fix: give the hosted trainer's request beside its dialect")
    translated = aliases.translate(asked.dialect, asked.request)
    if translated.steps is None:
        return translated.config, translated.notes
    planned = runs.plan(studio, translated.config)
    train = planned.prepared.config.train
    per_update = train.batch_size * train.gradient_accumulation
    return aliases.with_steps(translated, planned.plan.images, per_update), translated.notes
