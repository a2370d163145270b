"""Tools for what has been learned: find it, draw with it, merge it, give it away."""

from pathlib import Path
from typing import Annotated, Literal

from anyio import to_thread
from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from likeness.errors import InputError
from likeness.mcp.pictures import with_pictures
from likeness.mcp.shapes import (
    DatasetListed,
    Exported,
    Generated,
    JobStarted,
    Listed,
    Merged,
    ModelSeen,
    PictureDrawn,
    RunSeen,
)
from likeness.mcp.waiting import job_seen, wait
from likeness.service.conversions import Layout
from likeness.service.lora_files import Method
from likeness.store.tables import Model, Picture
from likeness.studio import (
    bundles,
    datasets,
    gallery,
    generations,
    layouts,
    library,
    merges,
    models,
    publishing,
    reference_pictures,
)
from likeness.studio import queue as jobs
from likeness.studio import runs as trainings
from likeness.studio.file_names import file_stem
from likeness.studio.generations import Generation, GenerationRequest
from likeness.studio.library import Filter
from likeness.studio.lora_choice import LoraChoice
from likeness.studio.merges import MergeRequest
from likeness.studio.workspace import Studio


class Lora(BaseModel):
    lora: str = Field(description="model:ID or model:NAME of the library, or run:NAME/EPOCH.")
    strength: float | None = Field(default=None, ge=-4, le=4, description="1 is as trained; null: the model's own.")


Loras = Annotated[list[Lora], Field(description="LoRAs to use together; up to eight.")]


class LibraryTools:
    """`local`: whoever calls sits at this machine, and may name its folders."""

    def __init__(self, studio: Studio, local: bool):
        self.studio, self.local = studio, local

    def list_studio(
        self,
        what: Literal["datasets", "runs", "models", "jobs"],
        search: Annotated[str, Field(description="Words that datasets or models must have.")] = "",
        limit: Annotated[int, Field(ge=1, le=200)] = 50,
    ) -> Listed:
        """What there is in this workspace: datasets, runs, models of the library, or jobs of the queue."""
        if what == "datasets":
            found, total = datasets.listed(self.studio, search=search, limit=limit)
            return Listed(datasets=[DatasetListed.model_validate(row) for row in found], total=total)
        if what == "runs":
            runs = [r for r in trainings.listed(self.studio) if search.lower() in r.name.lower()]
            return Listed(runs=[RunSeen.model_validate(r) for r in runs[:limit]], total=len(runs))
        if what == "models":
            page = library.listed(self.studio, Filter(search=search), limit=limit)
            return Listed(models=[_model(m, page.tags.get(m.id, [])) for m in page.models], total=page.total)
        listed = jobs.listed(self.studio, limit=limit)
        return Listed(jobs=[job_seen(job) for job in listed], total=len(listed))

    async def generate(
        self,
        ctx: Context,
        prompt: Annotated[
            str, Field(description="Holds the trigger words of its LoRAs. Of an edit the instruction.")
        ] = "",
        loras: Loras = [],  # noqa: B006
        base: Annotated[str, Field(description="From list_bases; empty: that of the first LoRA.")] = "",
        batch: Annotated[int, Field(ge=1, le=100, description="Pictures, each with the next seed.")] = 1,
        seed: Annotated[int | None, Field(description="Of the first picture; null for any.")] = None,
        strengths: Annotated[
            list[float], Field(description="Draw everything at each of these strengths of the first LoRA.")
        ] = [],  # noqa: B006
        width: int | None = None,
        height: int | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        negative_prompt: str = "",
        references: Annotated[
            list[str],
            Field(description="Source pictures of an edit: picture:ID, or dataset:NAME/FILE; of this machine, a path."),
        ] = [],  # noqa: B006
        seconds: Annotated[float, Field(ge=0, le=600, description="To wait for the pictures.")] = 300,
        job: Annotated[
            str | None, Field(description="Look at an earlier generation instead, with nothing else.")
        ] = None,
    ) -> Annotated[CallToolResult, Generated]:
        """Draw pictures with a base and any LoRAs, and look at them."""
        if job is None:
            sources = [await to_thread.run_sync(self._reference, text) for text in references]
            request = GenerationRequest(
                prompt=prompt, loras=_choices(loras), base=base, negative_prompt=negative_prompt, seed=seed,
                batch=batch, width=width, height=height, steps=steps, guidance=guidance, references=tuple(sources),
                strengths=tuple(strengths),
            )  # fmt: skip
            job = (await to_thread.run_sync(generations.generate, self.studio, request)).job.id
        await wait(self.studio, job, seconds, ctx.report_progress)
        return await to_thread.run_sync(self._drawn, job)

    async def merge_models(
        self,
        ctx: Context,
        name: Annotated[str, Field(description="Of the new model.")],
        loras: Loras,
        method: Annotated[
            Method, Field(description="; ".join(f"{key}: {words}" for key, words in merges.METHODS.items()))
        ] = "concat",
        rank: Annotated[int | None, Field(description="Cut the result to this rank.")] = None,
        description: str = "",
        seconds: Annotated[float, Field(ge=0, le=600)] = 120,
    ) -> Merged:
        """Make one LoRA of several, at the strengths given, as a new model of the library."""
        request = MergeRequest(name=name, loras=_choices(loras), method=method, rank=rank, description=description)
        job = await to_thread.run_sync(merges.merge, self.studio, request)
        seen = await wait(self.studio, job.id, seconds, ctx.report_progress)
        _, model = await to_thread.run_sync(merges.model_of, self.studio, job.id)
        return Merged(job=job.id, state=seen.state, model=model.id if model else None, error=seen.error)

    def export_model(
        self,
        model: Annotated[str, Field(description="Id of a model in the library.")],
        layout: Annotated[
            Layout | Literal["bundle", "original"],
            Field(
                description="Key names for another program (comfyui, diffusers, kohya, bfl, peft), the file as it was "
                "trained, or a bundle with card, pictures and settings that another Likeness imports."
            ),
        ] = "original",
    ) -> Exported:
        """Get the file of a model, for another program or another Likeness."""
        found = models.get(self.studio, model)
        address = f"/api/v1/models/{found.id}"
        if layout == "bundle":
            target = self.studio.root / "exports" / f"{file_stem(found.name, 'model')}-{found.id}{bundles.SUFFIX}"
            return self._exported(bundles.write(self.studio, found.id, target), f"{address}/bundle")
        if layout == "original":
            return self._exported(models.lora_path(self.studio, found), f"{address}/file")
        made = layouts.convert(self.studio, f"model:{found.id}", layout)
        if made.path is None:
            return Exported(file="", address="", job=made.job.id if made.job else None)
        return self._exported(made.path, f"{address}/file?layout={layout}")

    def publish_model(
        self,
        model: Annotated[str, Field(description="Id of a model in the library.")],
        repository: Annotated[str | None, Field(description="On the hub, as owner/name; private.")] = None,
        folder: Annotated[str | None, Field(description="Or a new folder on the server's machine.")] = None,
    ) -> JobStarted | Exported:
        """Write a model with its card and pictures to a hub repository or into a new folder."""
        if (repository is None) == (folder is None):
            raise InputError("repository: give either a repository or a folder. Fix: leave one of them out")
        if repository is not None:
            job = publishing.to_hub(self.studio, model, repository)
            return JobStarted(job=job.id, title=job.title)
        if not self.local:
            raise InputError("folder: is for callers at this machine. Fix: export_model, and fetch it over REST")
        return self._exported(publishing.to_folder(self.studio, model, Path(str(folder))), "")

    def _reference(self, text: str) -> str:
        """A source picture by the name that generations have for it. Raises NotFound, InputError."""
        if text.startswith("dataset:"):
            dataset, _, name = text.removeprefix("dataset:").partition("/")
            path = datasets.path_of(self.studio, dataset, name)
            return reference_pictures.keep(self.studio, path, path.name)
        if self.local and Path(text).expanduser().is_absolute():
            return reference_pictures.keep(self.studio, Path(text).expanduser(), Path(text).name)
        return text

    def _exported(self, path: Path, address: str) -> Exported:
        return Exported(file=str(path) if self.local else "", address=address, job=None)

    def _drawn(self, job_id: str) -> CallToolResult:
        found = generations.get(self.studio, job_id)
        pictures = [
            (f"{p.id}: seed {p.settings.get('seed')}{_strength_words(p)}", gallery.path_of(self.studio, p))
            for p in found.pictures
        ]
        return with_pictures(self.studio, _generated(found), pictures)


def _generated(found: Generation) -> Generated:
    return Generated(
        job=found.job.id,
        state=found.job.state,
        pictures=[
            PictureDrawn(id=p.id, seed=p.settings.get("seed"), strength=_strength(p), file=p.file)
            for p in found.pictures
        ],
        total=found.total,
        warnings=found.warnings,
        error=found.job.error,
    )


def _strength(picture: Picture) -> float | None:
    loras = picture.settings.get("loras") or []
    return loras[0].get("strength") if loras else None


def _strength_words(picture: Picture) -> str:
    strength = _strength(picture)
    return "" if strength is None else f", strength {strength:g}"


def _choices(loras: list[Lora]) -> tuple[LoraChoice, ...]:
    return tuple(LoraChoice(one.lora, one.strength) for one in loras)


def _model(model: Model, tags: list[str]) -> ModelSeen:
    told = {name: getattr(model, name) for name in ModelSeen.model_fields if name != "tags"}
    return ModelSeen.model_validate({**told, "tags": tags})
