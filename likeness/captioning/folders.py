"""Where an engine's model lies on this machine: a folder, or a repository of the hub, fetched where it is not here."""

import os
import shutil
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import httpx2 as httpx  # what huggingface_hub is built on
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
from huggingface_hub.hf_api import RepoFile

from likeness.captioning.protocol import Tell
from likeness.catalog.source import cached_snapshot, hub_cache, hub_folder
from likeness.errors import InputError
from likeness.families.needs import File
from likeness.families.transfer import transfer

SPARE_BYTES = 1 << 30  # that should be left on the disk


def folder_of(model: str, wanted: tuple[str, ...], whole: Callable[[Path], bool], tell: Tell) -> Path:
    """The folder of `model`: a path, or 'owner/name' or 'owner/name@revision' on the hub.

    Of a repository the files whose names match `wanted` are fetched, unless those in the cache are `whole` already.
    Raises InputError where it cannot be had.
    """
    given = Path(os.path.expanduser(model))
    if given.is_dir():
        return given
    repository, _, revision = model.partition("@")
    if repository.count("/") != 1 or given.is_absolute() or model.startswith("."):
        raise InputError(f"--model: {model} is no folder, and no repository 'owner/name'. Fix: correct the name")
    cached = cached_snapshot(repository, revision or None)
    if cached is not None and whole(cached):
        return cached
    try:
        return _fetched(repository, revision or None, wanted, tell)
    except (httpx.TransportError, OfflineModeIsEnabled, LocalEntryNotFoundError) as e:
        raise InputError(
            f"--model: {repository} is not in the cache at {hub_cache()}, and the hub cannot be reached "
            f"({_first_line(e)}). Fix: fetch it once with a network, or give the path of a folder with the model"
        ) from e
    except HfHubHTTPError as e:
        raise InputError(
            f"--model: the hub does not give {model} ({_first_line(e)}). Fix: check the name; where the repository is "
            "private or asks for consent, set HF_TOKEN to a token of an account that may read it"
        ) from e


def _fetched(repository: str, revision: str | None, wanted: tuple[str, ...], tell: Tell) -> Path:
    api = HfApi()
    commit = api.repo_info(repository, revision=revision).sha or ""
    entries = api.list_repo_tree(repository, recursive=True, revision=commit)
    files = [File(e.path, e.size) for e in entries if isinstance(e, RepoFile)]
    files = [f for f in files if any(fnmatch(f.path, pattern) for pattern in wanted)]
    folder = hub_folder(repository) / "snapshots" / commit
    missing = [f for f in files if not (folder / f.path).is_file()]
    total = sum(f.size for f in missing)
    there = next(p for p in (hub_cache(), *hub_cache().parents) if p.exists())
    if missing and total + SPARE_BYTES > (free := shutil.disk_usage(there).free):
        raise InputError(
            f"--model: {repository} needs {(total + SPARE_BYTES) / 1e9:.1f} GB on the disk, and {free / 1e9:.1f} GB "
            f"are left at {hub_cache()}. Fix: free some, or set HF_HOME to a folder on a larger disk"
        )
    for done in transfer(repository, commit, missing) if missing else ():
        tell("downloading", done, total)
    if revision != commit:  # so that it is found without a network too
        reference = hub_folder(repository) / "refs" / (revision or "main")
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(commit, encoding="utf-8")
    return folder


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
