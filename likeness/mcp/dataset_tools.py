"""Tools for datasets: pictures in, captions written, findings looked at and mended."""

import base64
import binascii
import tempfile
from pathlib import Path
from typing import Annotated, Literal

from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from likeness.config.caption import CaptionConfig
from likeness.errors import Conflict, InputError
from likeness.mcp.pictures import MOST_SHOWN, with_pictures
from likeness.mcp.shapes import (
    Arrived,
    DatasetChecked,
    DatasetSeen,
    Edited,
    FindingSeen,
    Fixed,
    JobStarted,
    PictureSeen,
    TriggerSeen,
)
from likeness.service.captions import Overwrite
from likeness.store.tables import Dataset
from likeness.studio import datasets, imports
from likeness.studio.datasets import arrivals, captions, checking, jobs, steps
from likeness.studio.workspace import Studio

Kind = Literal["character", "style", "product", "environment", "edit"]
DatasetName = Annotated[str, Field(description="The dataset's id or name.")]
Names = Annotated[list[str] | None, Field(description="Names of pictures, as view_dataset tells them; null for all.")]
Urls = Annotated[list[str], Field(description="http(s) addresses of pictures, captions (.txt) or archives (.zip).")]
Folder = Annotated[
    str | None, Field(description="A folder on the server's machine with pictures, captions beside them as NAME.txt.")
]


class File(BaseModel):
    """A small file in the call itself; larger ones come by URL or from a folder."""

    name: str = Field(description="Such as maya-1.png, or maya-1.txt for its caption.")
    base64: str


class DatasetTools:
    """`local`: whoever calls sits at this machine, and may name its folders."""

    def __init__(self, studio: Studio, local: bool):
        self.studio, self.local = studio, local

    def create_dataset(
        self,
        name: Annotated[str, Field(description="For people, such as 'Maya'.")],
        kind: Annotated[Kind, Field(description="What is to be learned. 'edit' learns from pairs before → after.")],
        trigger: Annotated[
            str, Field(description="The made-up word that will call it up, such as maya_char; none for edits.")
        ] = "",
        base: Annotated[str, Field(description="The base it is for, from list_bases; findings depend on it.")] = "",
        description: str = "",
        urls: Urls = [],  # noqa: B006
        folder: Folder = None,
    ) -> Arrived:
        """Make a dataset, and put pictures into it from URLs or a folder. 10 to 30 varied, sharp pictures do well.

        Pairs of an edit dataset are told by their names (x_start.png and x_end.png, or folders before/ and after/).
        Then: check_dataset.
        """
        self._may_name(folder)
        row = datasets.create(self.studio, name, kind, trigger, base, description)
        return self._put(row, urls, folder, [])

    def add_pictures(
        self,
        dataset: DatasetName,
        urls: Urls = [],  # noqa: B006
        folder: Folder = None,
        files: Annotated[list[File], Field(description="Small files in the call itself.")] = [],  # noqa: B006
    ) -> Arrived:
        """Put more pictures, captions or archives into a dataset."""
        self._may_name(folder)
        return self._put(datasets.get(self.studio, dataset), urls, folder, files)

    def view_dataset(
        self,
        dataset: DatasetName,
        names: Names = None,
        offset: int = 0,
        limit: Annotated[int, Field(ge=1, le=100)] = MOST_SHOWN,
        pictures: Annotated[bool, Field(description="Show the pictures themselves, not only their captions.")] = True,
    ) -> Annotated[CallToolResult, DatasetSeen]:
        """Look at a dataset: its pictures with their captions."""
        row = datasets.get(self.studio, dataset)
        found, total = datasets.pictures(self.studio, row.id, limit, max(0, offset))
        if names is not None:
            found = [datasets.find(self.studio, row.id, name) for name in names[:100]]
        seen = DatasetSeen(
            id=row.id, name=row.name, kind=row.kind, trigger=row.trigger, base=row.base, total=total,
            pictures=[PictureSeen.model_validate({**vars(p), "author": str(p.author)}) for p in found],
        )  # fmt: skip
        shown = [(f"{p.name}: {p.caption or '(no caption)'}", p.path) for p in found] if pictures else []
        return with_pictures(self.studio, seen, shown)

    def check_dataset(
        self,
        dataset: DatasetName,
        base: Annotated[str | None, Field(description="Check it for another base than the dataset's own.")] = None,
    ) -> DatasetChecked:
        """Say what is wrong with a dataset and how to mend it; errors must be mended before training.

        Each finding names fixes for fix_dataset. Also tells where the trigger is missing, and suggests test prompts.
        """
        row = datasets.get(self.studio, dataset)
        checked = checking.check(self.studio, row.id, base)
        trigger = None
        if row.trigger and row.kind != "edit":
            trigger = TriggerSeen.model_validate(captions.audit(self.studio, row.id))
        try:
            ideas = [idea.prompt for idea in checking.suggest(self.studio, row.id).ideas]
        except InputError:  # nothing to go by yet
            ideas = []
        return DatasetChecked(
            usable=checked.count,
            findings=[FindingSeen.model_validate(found) for found in checked.findings],
            trigger=trigger,
            suggested_prompts=ideas,
            notes=checked.notes,
        )

    def fix_dataset(
        self,
        dataset: DatasetName,
        fix: Annotated[
            str, Field(description="One of the finding's `fixes`, or 'undo' to take back the last change of any kind.")
        ],
        names: Names = None,
    ) -> Fixed:
        """Do what a finding offers: for the named pictures, or wherever the check finds it needed. Can be undone."""
        if fix == "undo":
            step, left = steps.undo(self.studio, dataset)
            kept = f" Changed since then, so left: {', '.join(left)}." if left else ""
            return Fixed(words=f"Taken back: {step.what}.{kept}", job=None)
        done = checking.fix(self.studio, dataset, fix, names)
        return Fixed(words=done.words, job=done.job.id if done.job else None)

    def edit_captions(
        self,
        dataset: DatasetName,
        captions_by_name: Annotated[
            dict[str, str], Field(description="New captions by picture name; of an edit the instruction.")
        ] = {},  # noqa: B006
        find: Annotated[str, Field(description="Replace this in all captions …")] = "",
        replace: Annotated[str, Field(description="… by this.")] = "",
        prefix: Annotated[str, Field(description="Put this in front of captions that do not begin with it.")] = "",
        names: Names = None,
    ) -> Edited:
        """Write captions. Name what should stay changeable (pose, clothes, place), and leave unsaid what the trigger is
        to mean. Every caption of a character or style should hold the trigger, spelled alike."""
        row = datasets.get(self.studio, dataset)
        for name in captions_by_name:  # before any is written
            datasets.path_of(self.studio, row.id, name)
        for name, text in captions_by_name.items():
            captions.set_caption(self.studio, row.id, name, text)
        changed = list(captions_by_name)
        if find:
            changed += captions.replace(self.studio, row.id, find, replace, names=names)
        if prefix:
            changed += captions.prefix(self.studio, row.id, prefix, names)
        if not (captions_by_name or find or prefix):
            raise InputError("captions_by_name: nothing was asked for. Fix: give captions, find or prefix")
        return Edited(changed=list(dict.fromkeys(changed)))

    def auto_caption(
        self,
        dataset: DatasetName,
        engine: Annotated[
            Literal["shipped", "vlm", "tagger", "ollama", "openai"],
            Field(
                description="Who writes: 'shipped' knows the starter's world alone; 'vlm' and 'tagger' are models run "
                "here; 'ollama' and 'openai' are servers that the settings allow."
            ),
        ] = "shipped",
        model: Annotated[str, Field(description="The engine's model; for vlm a hub repository.")] = "",
        leave_out: Annotated[list[str], Field(description="Words that captions should not hold, such as hair.")] = [],  # noqa: B006
        instruction: Annotated[str, Field(description="More to tell the engine.")] = "",
        overwrite: Annotated[
            Overwrite, Field(description="Captions that are there: none, a machine's, or all are written anew.")
        ] = "none",
    ) -> JobStarted:
        """Have captions written by a model; the trigger is put into each. Wait with follow, then view_dataset."""
        settings = CaptionConfig(engine=engine, model=model, leave_out=leave_out, instruction=instruction)
        job = jobs.caption(self.studio, dataset, settings, overwrite=overwrite)
        return JobStarted(job=job.id, title=job.title)

    def _may_name(self, folder: str | None) -> None:
        if folder is not None and not self.local:
            raise InputError("folder: is for callers at this machine. Fix: give URLs, or upload the files over REST")

    def _put(self, row: Dataset, urls: list[str], folder: str | None, files: list[File]) -> Arrived:
        whole = arrivals.Arrived()
        parts = [arrivals.take_folder(self.studio, row.id, Path(folder).expanduser())] if folder else []
        parts += [imports.into_dataset(self.studio, row.id, urls)] if urls else []
        parts += [self._file(row, file) for file in files]
        for part in parts:
            for name in ("pictures", "texts", "refused", "notes"):
                getattr(whole, name).extend(getattr(part, name))
            whole.pairs += part.pairs
        return Arrived.model_validate({**vars(whole), "dataset": row.id, "name": row.name})

    def _file(self, row: Dataset, file: File) -> arrivals.Arrived:
        try:
            data = base64.b64decode(file.base64, validate=True)
        except (binascii.Error, ValueError):
            return arrivals.Arrived(refused=[f"{file.name}: is no base64"])
        self.studio.uploads.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.studio.uploads, prefix="mcp-") as place:
            path = Path(place) / "file"
            path.write_bytes(data)
            try:
                return arrivals.take(self.studio, row.id, path, file.name)
            except (InputError, Conflict) as e:
                return arrivals.Arrived(refused=[f"{file.name}: {problem}" for problem in e.problems])
