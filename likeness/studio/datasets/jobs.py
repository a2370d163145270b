"""Work on a dataset that takes a process of its own: captions by a machine, and small pictures made larger."""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import ValidationError

from likeness import durable
from likeness.config.caption import OLLAMA, OPENAI, CaptionConfig, ServerConfig, TaggerConfig
from likeness.errors import Conflict, InputError
from likeness.service import captions as caption_service
from likeness.service import enhancements
from likeness.service.captions import CaptionJob, Overwrite
from likeness.service.enhancements import Enhancement
from likeness.store.tables import Job, new_id
from likeness.studio import preferences, queue, trust
from likeness.studio.datasets import pair_list, steps
from likeness.studio.datasets.files import MOST_BYTES, arranged, path_of, size_of
from likeness.studio.datasets.rows import files_of, get, touch
from likeness.studio.queue import Entry
from likeness.studio.supervisor import Ending
from likeness.studio.workspace import Studio

SERVERS = ("ollama", "openai")  # engines that compute elsewhere


def caption(
    studio: Studio,
    dataset: str,
    settings: CaptionConfig | None = None,
    server: ServerConfig | None = None,
    tagger: TaggerConfig | None = None,
    overwrite: Overwrite = "none",
) -> Job:
    """Queue the captioning of a dataset; captions come as they are made. Kind, trigger and longest caption are the
    dataset's where the settings do not say otherwise. A person's captions stay unless `overwrite` is 'all'.

    Raises InputError for a server that may not be asked, Conflict where a job is at the captions already.
    """
    row = get(studio, dataset)
    settings, server = settings or CaptionConfig(), server or ServerConfig()
    own = {"kind": row.kind, "trigger": "" if row.kind == "edit" else row.trigger}
    settings = settings.model_copy(update={k: v for k, v in own.items() if k not in settings.model_fields_set})
    _check_server(studio, settings, server)
    _refuse_second(studio, row.id, "caption")
    places, _ = arranged(studio, row)
    if not places:
        what = "no pairs" if row.kind == "edit" else "no pictures"
        raise InputError(f"dataset '{row.name}': has {what}. Fix: add some first")
    job = CaptionJob(files_of(studio, row.id), settings, server, tagger or TaggerConfig(), overwrite, False,
                     row.base or None)  # fmt: skip
    return queue.submit(studio, caption_service.order(job), Entry(
        title=f"Caption {row.name}", subject=_subject(row.id), extra={"dataset": row.id},
        light=settings.engine in SERVERS,
    ))  # fmt: skip


def caption_as(
    studio: Studio, dataset: str, settings: Mapping[str, Any], server: Mapping[str, Any], overwrite: str
) -> Job:
    """As `caption`, with settings as plain values. Raises InputError that names each one that is wrong."""
    if overwrite not in get_args(Overwrite):
        raise InputError(f"overwrite: '{overwrite}' is not known. Fix: one of {', '.join(get_args(Overwrite))}")
    try:
        return caption(
            studio, dataset, CaptionConfig.model_validate(settings), ServerConfig.model_validate(server),
            overwrite=cast(Overwrite, overwrite),
        )  # fmt: skip
    except ValidationError as e:
        raise InputError(
            *(f"{'.'.join(map(str, error['loc']))}: {error['msg'].lower()}. Fix: another value" for error in e.errors())
        ) from None


def enlarge(studio: Studio, dataset: str, names: Sequence[str]) -> Job:
    """Queue pictures to be made larger; each takes the place of the small one when the job is done, as a step that can
    be undone. Of pairs name the pictures on both sides.

    Raises NotFound, InputError where there is nothing to do, Conflict where such a job is under way.
    """
    row = get(studio, dataset)
    paths = {name: path_of(studio, row.id, name) for name in dict.fromkeys(names)}
    sizes = {name: size_of(path) for name, path in paths.items()}
    usable = {name: path for name, path in paths.items() if all(sizes[name])}
    if not usable:
        raise InputError("images: none of them can be read. Fix: name the pictures to enlarge")
    _refuse_second(studio, row.id, "enhance")
    job_id = new_id()
    source, output = studio.jobs / job_id / "small", studio.jobs / job_id / "large"
    areas = [sizes[name][0] * sizes[name][1] for name in usable]
    under = min(8192, int(max(areas) ** 0.5) + 1)  # so that all of them count as small
    title = f"Enlarge {len(usable)} picture{'s' if len(usable) > 1 else ''} of {row.name}"
    try:
        for number, path in enumerate(usable.values()):
            steps.preserve(path, source / f"{number}{path.suffix}")
        extra = {"dataset": row.id, "pictures": list(usable), "sha256s": [_digest(path) for path in usable.values()]}
        order = enhancements.order(Enhancement(source, under=under, output=output))
        return queue.submit(studio, order, Entry(title, _subject(row.id), extra), job_id)
    except BaseException:
        shutil.rmtree(studio.jobs / job_id, ignore_errors=True)
        raise


def running(studio: Studio, dataset_id: str) -> list[Job]:
    """Jobs of a dataset that have not ended."""
    return queue.listed(studio, states=queue.OPEN, subject=_subject(dataset_id))


def after_captioning(studio: Studio, job: Job, result: dict[str, Any]) -> dict[str, Any] | None:
    """The end of a job: its captions are there already."""
    touch(studio, str(job.extra.get("dataset", "")))
    return None


def put_enlarged(studio: Studio, job: Job, result: dict[str, Any]) -> dict[str, Any] | None:
    """The end of a job: larger pictures take the place of the small ones. Those that have changed since, or are gone,
    stay as they are."""
    if "dataset" not in job.extra:
        return None
    row = get(studio, str(job.extra["dataset"]), deleted=True)
    files = files_of(studio, row.id)
    large = {Path(entry["path"]).name.split(".")[0]: Path(entry["path"]) for entry in result.get("enhanced", [])}
    put: list[str] = []
    left: list[str] = []
    with steps.taking(studio, row.id, f"enlarged {len(large)} pictures") as step:
        renamed: dict[str, str] = {}
        for number, (name, sha256) in enumerate(zip(job.extra["pictures"], job.extra["sha256s"], strict=True)):
            new = large.get(str(number))
            if new is None or not new.is_file() or new.stat().st_size > MOST_BYTES or _digest(files / name) != sha256:
                left.append(name)
                continue
            target = Path(name).with_suffix(new.suffix).as_posix()  # another where its format is not written here
            if target != name and (files / target).exists():
                left.append(name)
                continue
            step.keep(target)
            durable.write_with(files / target, lambda partial, new=new: shutil.copyfile(new, partial))
            os.chmod(files / target, steps.PICTURE_MODE)
            if target != name:
                renamed[name] = target
            put.append(target)
        if renamed and row.kind == "edit":
            pair_list.rename(files, renamed, step)
        for name in renamed:
            step.set_aside(name)
    return {"enlarged": put, "left": left}


def _check_server(studio: Studio, settings: CaptionConfig, server: ServerConfig) -> None:
    """Where pictures and keys may be sent is for whoever runs the studio to say, not for whoever calls it."""
    if settings.engine not in SERVERS:
        trust.check("model", settings.model)
        return
    allowed = {url.rstrip("/") for url in preferences.get(studio, preferences.Captions).servers}
    endpoint = server.endpoint.rstrip("/")
    if endpoint and endpoint not in {OLLAMA, OPENAI, *allowed}:
        raise InputError(
            f"server.endpoint: {endpoint} is not among the servers that may be asked for captions. Fix: allow it in "
            "the settings"
        )
    if server.api_key_env and endpoint not in allowed:
        raise InputError("server.api_key_env: is for servers that the settings allow. Fix: leave it empty, or allow "
                         "the server in the settings")  # fmt: skip


def _refuse_second(studio: Studio, dataset_id: str, verb: str) -> None:
    if any(job.verb == verb for job in running(studio, dataset_id)):
        what = "captioned" if verb == "caption" else "enlarged"
        raise Conflict(f"the dataset is being {what} already. Fix: wait for it, or cancel it in the queue")


def _subject(dataset_id: str) -> str:
    return f"dataset:{dataset_id}"


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except OSError:
        return ""


ENDINGS: dict[str, Ending] = {"caption": after_captioning, "enhance": put_enlarged}
