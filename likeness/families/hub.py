"""Base models from the hub: what is there, whether it fits on the disk, and what went wrong, in plain words."""

import os
import shutil
from collections.abc import Callable, Generator, Set
from dataclasses import replace
from pathlib import Path

import httpx2 as httpx  # what huggingface_hub is built on
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile

from likeness.catalog import Card, card_for_folder
from likeness.catalog.header import SAFETENSORS
from likeness.catalog.source import PARTS, cached_snapshot, hub_cache, hub_folder
from likeness.errors import InputError
from likeness.events import Stage
from likeness.families.needs import (
    FOLDERS,
    INDEXES,
    PIPELINE_INDEXES,
    File,
    missing_parts,
    needed_files,
    setting_of,
)
from likeness.families.transfer import present_bytes, transfer

SPARE_BYTES = 1 << 30  # that should be left on the disk after a download
_OFFLINE = ("1", "ON", "YES", "TRUE")


def fetch(card: Card) -> Generator[Stage, None, Card]:
    """Bring what `card` needs onto this machine, telling how many bytes are there; returns the Card that knows where.

    Only files that are needed are fetched, each once; a download that was cut off goes on. Closing the generator
    leaves it at that. Raises InputError where the hub refuses, cannot be reached, or does not hold what it should, and
    where the disk is too small.
    """
    source = card.source
    if source.folders:
        return card
    replaced = {*PARTS} if source.checkpoint else {setting for setting, _ in source.parts}
    commits = dict(source.commits)
    if card.path is not None:
        own = card.path
    else:
        repository = card.location
        commits[repository], own = yield from _repository(card, repository, replaced, source.revision)
    folders = [own]
    if source.home is not None:
        home = Path(source.home)
        if not home.is_dir():
            present = {setting_of(name) for name in FOLDERS if (own / name).is_dir()}
            commits[source.home], home = yield from _repository(card, source.home, replaced | present, None)
        folders.append(home)
    return replace(card, source=replace(source, folders=tuple(folders), commits=tuple(commits.items())))


def fetch_now(card: Card, tell: Callable[[Stage], None] = lambda _: None) -> Card:
    """`fetch` at one go; `tell` is called with what it would have yielded."""
    work = fetch(card)
    while True:
        try:
            tell(next(work))
        except StopIteration as e:
            return e.value


def _repository(
    card: Card, repository: str, replaced: Set[str], revision: str | None
) -> Generator[Stage, None, tuple[str, Path]]:
    """Commit and folder of a repository whose needed files are all there."""
    wanted = card.source.commit(repository) or revision
    if card.source.offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in _OFFLINE:
        return _from_cache(card, repository, replaced, wanted, "model.offline or HF_HUB_OFFLINE is set")
    try:
        commit, files = _listing(repository, wanted)
        folder = hub_folder(repository) / "snapshots" / commit
        for file in files:
            if file.path in INDEXES:
                hf_hub_download(repository, file.path, revision=commit, cache_dir=hub_cache())
        _check_guess(card, repository, folder)
        needed = needed_files(files, replaced, allow_pickle=card.source.allow_pickle)
        if not any(file.name.parent.name for file in needed):
            raise InputError(_no_model(repository, files))
        missing = [file for file in needed if not (folder / file.path).is_file()]
        total = sum(file.size for file in missing)
        _check_space(repository, total - present_bytes(repository, missing))
        for done in transfer(repository, commit, missing) if missing else ():
            yield Stage(name="downloading", done=done, total=total)
    except (httpx.TransportError, OfflineModeIsEnabled, LocalEntryNotFoundError) as e:
        why = f"the hub cannot be reached ({_first_line(e)})"
        return _from_cache(card, repository, replaced, wanted, why)
    except (HfHubHTTPError, OSError) as e:
        raise InputError(_refusal(repository, wanted, e)) from e
    return commit, folder


def _listing(repository: str, revision: str | None) -> tuple[str, list[File]]:
    """The commit, and the files in it. What the branch leads to is noted as huggingface_hub does it, so that it is
    found without a network too."""
    api = HfApi()
    commit = api.repo_info(repository, revision=revision).sha or ""
    entries = api.list_repo_tree(repository, recursive=True, revision=commit)
    if revision != commit:
        reference = hub_folder(repository) / "refs" / (revision or "main")
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(commit, encoding="utf-8")
    return commit, [File(e.path, e.size) for e in entries if isinstance(e, RepoFile)]


def _check_guess(card: Card, repository: str, folder: Path) -> None:
    """A repository that is in no Card was judged by its name; its index tells the truth."""
    if not card.source.guessed or repository != card.repository:
        return
    if not any((folder / name).is_file() for name in PIPELINE_INDEXES):
        return
    truth = card_for_folder(folder)
    names = [f"{c.pipeline}{' (distilled)' if c.distilled else ''} of family {c.family}" for c in (card, truth)]
    facts = [(c.run_defaults(), c.pipeline_arguments) for c in (card, truth)]
    if names[0] != names[1] or facts[0] != facts[1]:
        more = "" if names[0] != names[1] else " with defaults of its own"
        raise InputError(
            f"base: by its name {repository} was taken for a {names[0]}, but it holds a {names[1]}{more}. Fix: start "
            "again; it is known now"
        )


def _check_space(repository: str, count: int) -> None:
    place = hub_cache()
    there = next(p for p in (place, *place.parents) if p.exists())
    free = shutil.disk_usage(there).free
    if count > 0 and count + SPARE_BYTES > free:
        raise InputError(
            f"base: {repository} needs {(count + SPARE_BYTES) / 1e9:.1f} GB on the disk, and {place} has "
            f"{free / 1e9:.1f} GB left. Fix: free some, or set HF_HOME to a folder on a larger disk"
        )


def _from_cache(card: Card, repository: str, replaced: Set[str], revision: str | None, why: str) -> tuple[str, Path]:
    """What was fetched before. Raises InputError, telling `why` no more can be had, where that is not all."""
    folder = cached_snapshot(repository, revision)
    missing = missing_parts(folder, replaced) if folder else []
    if folder is None or missing:
        lacks = f"lacks {', '.join(missing)} in" if missing else "is not in"
        raise InputError(
            f"base: {repository} {lacks} the cache at {hub_cache()}, and {why}. Fix: fetch it once with a network, or "
            "set base to a folder with the model"
        )
    _check_guess(card, repository, folder)
    return folder.name, folder


def _no_model(repository: str, files: list[File]) -> str:
    single = [f.path for f in files if f.name.suffix == SAFETENSORS]
    more = f" It has single files, such as {single[0]}: download one and give its path as base." if single else ""
    return f"base: {repository} holds no model in the diffusers layout.{more} Fix: name another repository or a file"


def _refusal(repository: str, revision: str | None, error: Exception) -> str:
    if isinstance(error, GatedRepoError):
        why = (
            "asks for consent. Fix: agree on its page on the hub with your account, then set HF_TOKEN to a token of "
            "that account, or log in with `hf auth login`"
        )
    elif isinstance(error, RevisionNotFoundError):
        why = f"has no revision '{revision}'. Fix: leave the revision out, or name a branch, tag or commit of it"
    elif isinstance(error, RepositoryNotFoundError):
        why = "is not on the hub, or is private. Fix: check its name; for a private one set HF_TOKEN"
    elif isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403):
        why = "refuses the token in use. Fix: set HF_TOKEN to a valid one, or `hf auth login` again"
    else:
        why = f"cannot be fetched ({_first_line(error)}). Fix: try again later; what has arrived is kept"
    return f"base: {repository} {why}"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
