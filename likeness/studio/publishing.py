"""A model for others: its file, example pictures and model card in a folder, or in a repository on the hub."""

import importlib.util
import os
import re
import shutil
from pathlib import Path
from typing import Any

from likeness import durable
from likeness.dataset.wording import is_plain
from likeness.errors import Conflict, InputError
from likeness.service.workers import Order
from likeness.store.tables import Job, Model, new_id
from likeness.studio import model_cards, models, queue, trust
from likeness.studio.queue import Entry
from likeness.studio.supervisor import Ending
from likeness.studio.workspace import Studio

README = "README.md"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def to_folder(studio: Studio, model_id: str, folder: Path) -> Path:
    """Write a model into a new folder, with a model card. Raises InputError for a place that does not do, Conflict
    where something is there already."""
    trust.check("folder", str(folder))
    model = models.get(studio, model_id)
    folder = folder.expanduser()
    if not folder.is_absolute() or not is_plain(str(folder)) or ".." in folder.parts:
        raise InputError(
            f"folder: '{folder}' is no whole path. Fix: write it from the root, such as /home/me/loras/mika"
        )
    if folder.is_relative_to(studio.root):
        raise InputError(f"folder: {folder} belongs to the studio. Fix: choose another place")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict(f"folder: {folder} is there already, and not empty. Fix: name a new one")
    try:
        durable.write_folder(folder, lambda partial: _fill(studio, model, partial))
    except PermissionError as e:
        raise InputError(f"folder: {folder} cannot be written ({e.strerror}). Fix: choose another place") from e
    return folder


def to_hub(studio: Studio, model_id: str, repository: str, *, private: bool = True) -> Job:
    """Queue the upload of a model to 'owner/name' on the hub, which is made where it is not there yet.

    The token comes from the environment (HF_TOKEN) or from `hf auth login`. Raises InputError where there is none, or
    for what is no name of a repository.
    """
    model = models.get(studio, model_id)
    if not _REPOSITORY.fullmatch(repository):
        raise InputError(f"repository: '{repository[:100]}' is no repository. Fix: write owner/name")
    if importlib.util.find_spec("huggingface_hub") is None:
        raise InputError("repository: huggingface_hub is not installed. Fix: pip install 'likeness[train]'")
    if not has_token():
        raise InputError("repository: there is no token for the hub. Fix: set HF_TOKEN where the server is started, or "
                         "run `hf auth login`")  # fmt: skip
    job_id = new_id()
    files = studio.jobs / job_id / "files"
    durable.write_folder(files, lambda partial: _fill(studio, model, partial))
    order = Order("publish", {"folder": str(files), "repository": repository, "private": private})
    entry = Entry(f"publish {model.name} as {repository}", f"publish:{model.id}", light=True)
    try:
        return queue.submit(studio, order, entry, job_id)
    except BaseException:
        shutil.rmtree(files.parent, ignore_errors=True)
        raise


def take(studio: Studio, job: Job, result: dict[str, Any]) -> None:
    """The end of an upload: what was uploaded need not lie here a second time."""
    shutil.rmtree(studio.jobs / job.id / "files", ignore_errors=True)


ENDINGS: dict[str, Ending] = {"publish": take}


def has_token() -> bool:
    """Whether the hub's library will find one, without importing it."""
    if any(os.environ.get(name, "").strip() for name in _TOKENS):
        return True
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    place = Path(os.environ.get("HF_TOKEN_PATH") or home / "token").expanduser()
    return place.is_file() and bool(place.read_text().strip())


def _fill(studio: Studio, model: Model, folder: Path) -> None:
    source = studio.models / model.id
    models.copy_file(models.lora_path(studio, model), folder / model.file)
    shown = [(str(e["file"]), str(e.get("prompt", ""))) for e in model.examples]
    for file, _ in shown:
        target = folder / file
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(source / file, target)
    tags = models.tags_of(studio, [model.id])[model.id]
    (folder / README).write_text(model_cards.readme(model, tags, shown), encoding="utf-8")
