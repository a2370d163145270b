"""Tools for training: what the machine can do, plan, start, follow, look, choose."""

from pathlib import Path
from typing import Annotated, Any, Literal, cast

from anyio import to_thread
from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import Field

from likeness.errors import InputError
from likeness.mcp.pictures import MOST_SHOWN, with_pictures
from likeness.mcp.shapes import (
    BaseSeen,
    BasesSeen,
    Chosen,
    DeviceSeen,
    EpochSeen,
    FindingSeen,
    Followed,
    JobSeen,
    MachineSeen,
    Planned,
    RunSeen,
    RunWhole,
    SampleSeen,
    Started,
)
from likeness.mcp.waiting import GOING, job_seen, wait
from likeness.service.costs import Figure
from likeness.service.machine import machine
from likeness.studio import bases, comparing, datasets, models, queue, run_files, runs
from likeness.studio.file_names import file_stem
from likeness.studio.run_summaries import job_of, pictures_only
from likeness.studio.run_views import RunView
from likeness.studio.workspace import Studio

RunName = Annotated[str, Field(description="The run's name.")]
Config = Annotated[dict[str, Any], Field(description="Settings as plan_training gave them back.")]


class TrainingTools:
    def __init__(self, studio: Studio):
        self.studio = studio

    def inspect_machine(self) -> MachineSeen:
        """What there is to train on (devices, memory, free disk), and what it is busy with. The first call takes
        seconds."""
        found = machine(self.studio.workspace)
        jobs = queue.listed(self.studio, states=GOING, limit=50)
        return MachineSeen(
            devices=[DeviceSeen.model_validate(device) for device in found.devices],
            cores=found.cores,
            memory_bytes=found.memory_bytes,
            free_disk_bytes=found.free_disk_bytes,
            problem=found.problem,
            jobs=[job_seen(job) for job in jobs],
        )

    def list_bases(
        self, edits: Annotated[bool, Field(description="Only those that can learn edits from pairs.")] = False
    ) -> BasesSeen:
        """The base models to train on, with what each is good for, its licence, and whether it fits this machine."""
        found = [base for base in bases.bases(self.studio) if base.card.edits or not edits]
        return BasesSeen(
            bases=[
                BaseSeen(
                    name=b.card.name, title=b.card.title, family=b.family, good_for=b.card.good_for,
                    licence=b.card.licence, parameters=b.card.parameters, resolution=b.card.resolution,
                    edits=b.card.edits, here=b.here, download_bytes=b.card.download_bytes, fits=str(b.fits), why=b.why,
                    speed=b.speed,
                )
                for b in found
            ]
        )  # fmt: skip

    def plan_training(
        self,
        dataset: Annotated[str | None, Field(description="The dataset's id or name.")] = None,
        base: Annotated[str | None, Field(description="From list_bases; else the dataset's own.")] = None,
        name: Annotated[str | None, Field(description="Of the run; letters, digits, '.', '_' and '-'.")] = None,
        prompts: Annotated[
            list[str] | None, Field(description="Up to four test prompts, drawn after each epoch; hold the trigger.")
        ] = None,
        settings: Annotated[
            dict[str, Any],
            Field(
                description="Any other settings, in groups as a YAML file has them, such as "
                '{"train": {"epochs": 12}, "lora": {"rank": 32}, "optim": {"learning_rate": 5e-5}}. Usually none.'
            ),
        ] = {},  # noqa: B006
        config: Annotated[
            dict[str, Any] | None, Field(description="Whole settings instead of all others, as an earlier plan had.")
        ] = None,
    ) -> Planned:
        """Check a training and tell its length, cost and whether it fits; nothing is started. The dataset is frozen.

        Read findings and suggestions, plan again with other settings where they are right, then start_training.
        """
        tree = self._config(dataset, base, name, prompts, settings) if config is None else config
        planned = runs.plan(self.studio, tree)
        plan, cost = planned.plan, planned.cost
        return Planned(
            digest=planned.digest, config=tree, name=planned.name, name_taken=planned.name_taken, images=plan.images,
            held_out=plan.held_out, steps=plan.steps, epochs=plan.epochs, arithmetic=plan.arithmetic,
            fits=str(cost.fits), why=cost.why, seconds=_range(cost.time), memory_bytes=_range(cost.memory),
            disk_bytes=_range(cost.disk), download_bytes=_range(cost.download),
            findings=[
                FindingSeen(check=f.check, severity=f.severity, images=[Path(p).name for p in f.images],
                            message=f.message, fix=f.fix)
                for f in planned.findings
            ],
            suggestions=[f"{s.field}: {s.value}. {s.reason}" for s in (*cost.fixes, *planned.suggestions)],
            notes=planned.notes,
        )  # fmt: skip

    def start_training(
        self,
        config: Config,
        digest: Annotated[str, Field(description="Of the plan; another is refused, so nothing unplanned starts.")],
        note: Annotated[str, Field(description="For people.")] = "",
        mock: Annotated[bool, Field(description="Go through all states in seconds, and train nothing.")] = False,
    ) -> Started:
        """Start exactly what was planned. Returns at once; then follow."""
        started = runs.start(self.studio, config, digest, note=note, mock=mock)
        return Started(run=started.name, job=started.job.id)

    async def follow(
        self,
        ctx: Context,
        run: Annotated[str | None, Field(description="The run's name; it returns after each new epoch.")] = None,
        job: Annotated[str | None, Field(description="Or the id of any other job.")] = None,
        seconds: Annotated[float, Field(ge=0, le=600, description="To wait at most; 0 to look only.")] = 60,
    ) -> Followed:
        """Wait for a training or another job, and tell how it stands. Call again while it goes on."""
        if (run is None) == (job is None):
            raise InputError("run: give either a run or a job. Fix: leave one of them out")
        if run is None:
            return self._followed_job(await wait(self.studio, cast(str, job), seconds, ctx.report_progress))
        summary = await to_thread.run_sync(runs.summary_of, self.studio, run)
        going = await to_thread.run_sync(job_of, self.studio, run)
        if going is None or summary.state not in GOING:
            return await to_thread.run_sync(self._followed_run, run, None)

        def new_epoch() -> bool:
            return runs.summary_of(self.studio, run).epochs_saved > summary.epochs_saved

        seen = await wait(self.studio, going.id, seconds, ctx.report_progress, new_epoch)
        return await to_thread.run_sync(self._followed_run, run, seen)

    def control_training(
        self,
        run: RunName,
        action: Annotated[
            Literal["pause", "resume", "cancel", "sample_now", "score"],
            Field(
                description="pause and cancel save first, and resume goes on from there; sample_now draws the test "
                "prompts with the LoRA as it is; score measures all epochs of a run that has ended."
            ),
        ],
    ) -> JobSeen:
        """Pause, resume or cancel a training, draw its test prompts now, or measure it again."""
        if action in ("pause", "cancel"):
            return job_seen(runs.stop(self.studio, run, "paused" if action == "pause" else "canceled"))
        if action == "resume":
            return job_seen(runs.resume(self.studio, run))
        if action == "score":
            return job_seen(comparing.score(self.studio, run))
        runs.sample_now(self.studio, run)
        job = job_of(self.studio, run)
        assert job is not None  # it runs
        return job_seen(job)

    def view_run(
        self,
        run: RunName,
        epochs: Annotated[
            list[int] | None, Field(description="Show these epochs' pictures large; null: all in one small grid.")
        ] = None,
        prompts: Annotated[list[int] | None, Field(description="Only these test prompts, from 1.")] = None,
    ) -> Annotated[CallToolResult, RunWhole]:
        """Look at a run: test pictures of its epochs, losses, and what the scorecard says of which epoch to take.

        Judge: is it the subject, does it follow the prompt, is it sharp, and not a copy of a training picture? A good
        epoch is often before the last.
        """
        pictures_only(self.studio, run)
        view = runs.view(self.studio, run)
        seen = _whole(view)
        wanted = [
            (f"epoch {s.epoch}, prompt {s.prompt_index}, seed {s.seed}: {s.prompt}", s.path)
            for epoch in view.epochs
            for s in epoch.samples
            if (epochs is None or epoch.epoch in epochs) and (prompts is None or s.prompt_index in prompts)
        ]
        if epochs is None and prompts is None and len(wanted) > MOST_SHOWN // 2:
            grid = run_files.grid(self.studio, run)
            words = "All epochs (columns, from left) and test prompts (rows). Ask for epochs to see them large."
            return with_pictures(self.studio, seen, [(words, grid)], side=1024)
        return with_pictures(self.studio, seen, [(w, run_files.picture(self.studio, run, p)) for w, p in wanted])

    def choose_epoch(
        self,
        run: RunName,
        epoch: int,
        publish: Annotated[bool, Field(description="Put it into the library, with its pictures and facts.")] = True,
        name: Annotated[str, Field(description="In the library; the run's own where empty.")] = "",
        description: str = "",
        tags: Annotated[list[str], Field(description="To find it by.")] = [],  # noqa: B006
    ) -> Chosen:
        """Say which epoch is the one, and put it into the library."""
        runs.choose(self.studio, run, epoch)
        model = None
        if publish:
            model = models.publish(self.studio, run, epoch, name=name, description=description, tags=tags).id
        return Chosen(run=run, epoch=epoch, model=model, lora=f"model:{model}" if model else f"run:{run}/{epoch}")

    def _config(
        self, dataset: str | None, base: str | None, name: str | None, prompts: list[str] | None,
        settings: dict[str, Any],
    ) -> dict[str, Any]:  # fmt: skip
        if dataset is None:
            raise InputError("dataset: is missing. Fix: give a dataset, or a whole config")
        row = datasets.get(self.studio, dataset)
        if not (base or row.base):
            raise InputError("base: is missing, and the dataset has none of its own. Fix: take one from list_bases")
        tree: dict[str, Any] = {
            "name": name or runs.free_name(self.studio, file_stem(row.name, "run")),
            "kind": row.kind,
            "base": base or row.base,
            "trigger": row.trigger,
            "data": {"datasets": [{"path": f"dataset:{row.name}"}]},
        }
        if prompts is not None:
            tree["sampling"] = {"prompts": prompts}
        return _merged(tree, settings)

    def _followed_job(self, seen: JobSeen) -> Followed:
        found = queue.get(self.studio, seen.id)
        return Followed(
            state=seen.state, progress=seen.progress, done=seen.done, total=seen.total, eta_seconds=seen.eta_seconds,
            epochs_saved=None, loss=None, error=seen.error, result=found.result, notes=[],
        )  # fmt: skip

    def _followed_run(self, run: str, seen: JobSeen | None) -> Followed:
        view = runs.view(self.studio, run)
        s = view.summary
        words = seen.progress if seen else ""
        return Followed(
            state=s.state, progress=words or f"step {s.step} of {s.steps}", done=s.step, total=s.steps,
            eta_seconds=view.eta_seconds, epochs_saved=s.epochs_saved,
            loss=view.loss[-1].smoothed if view.loss else None, error=s.error, result=None,
            notes=[*view.notes, *filter(None, [view.ended])],
        )  # fmt: skip


def _whole(view: RunView) -> RunWhole:
    verdict = view.verdict or {}
    return RunWhole(
        summary=RunSeen.model_validate(view.summary),
        prompts=[prompt.text for prompt in view.prompts],
        epochs=[
            EpochSeen(
                epoch=e.epoch, has_lora=e.checkpoint is not None, train_loss=e.train_loss,
                held_out_loss=e.held_out_loss, samples=[SampleSeen.model_validate(s) for s in e.samples],
            )
            for e in view.epochs
        ],
        verdict=str(verdict.get("sentence") or ""),
        reasons=verdict.get("reasons") or [],
        advice=verdict.get("advice") or [],
        flags=verdict.get("flags") or [],
        measures=verdict.get("rows") or [],
        notes=view.notes,
    )  # fmt: skip


def _range(figure: Figure) -> list[float | None]:
    return [figure.low, figure.high]


def _merged(tree: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """`more` over `tree`, group by group."""
    whole = dict(tree)
    for key, value in more.items():
        before = whole.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            value = _merged(cast(dict[str, Any], before), cast(dict[str, Any], value))
        whole[key] = value
    return whole
