"""Fetching the files of one repository: several at a time, each going on where it was cut off.

huggingface_hub throws away what it has of a file when it is interrupted; with files of ten gigabytes that is not good
enough. What arrives is put into its cache under the names that it gives.
"""

import fcntl
import hashlib
import os
import queue
import re
import threading
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import BinaryIO

import httpx2 as httpx
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.utils import build_hf_headers, disable_progress_bars, get_session, hf_raise_for_status

from likeness.catalog.source import hub_cache, hub_folder
from likeness.errors import InputError
from likeness.families.needs import File

THREADS = 4
SECONDS_BETWEEN_LOOKS = 0.5
SMALL_BYTES = 1 << 20  # up to this size, huggingface_hub fetches a file by itself
MOST_TRIES = 5  # in a row without a byte
PARTIAL = ".part"
GOES_ON = 206  # HTTP status of an answer to the rest of a file
_SHA256 = re.compile(r"[0-9a-f]{64}")


class _Closed(Exception):
    """Nobody waits for the files any more."""


def present_bytes(repository: str, files: Sequence[File]) -> int:
    """How many bytes of large files an earlier download left; which of them they belong to is not known here."""
    left = sum(p.stat().st_size for p in (hub_folder(repository) / "blobs").glob(f"*{PARTIAL}"))
    return min(left, sum(f.size for f in files))


def transfer(repository: str, commit: str, files: Sequence[File]) -> Generator[int]:
    """Fetch the files, yielding every half second and in the end how many bytes of them are there. Closing it stops
    the transfer.

    Raises what httpx and huggingface_hub raise, and InputError for a file that arrives damaged.
    """
    disable_progress_bars()
    work: queue.SimpleQueue[File] = queue.SimpleQueue()
    for file in sorted(files, key=lambda f: -f.size):
        work.put(file)
    done = {f.path: 0 for f in files}
    errors: list[Exception] = []
    closing = threading.Event()

    def run() -> None:
        while not errors:
            try:
                file = work.get_nowait()
                _fetch(repository, commit, file, done, closing)
                done[file.path] = file.size
            except (queue.Empty, _Closed):
                return
            except Exception as e:  # raised again by the caller's thread
                errors.append(e)
                closing.set()

    count = min(THREADS, len(files))
    threads = [threading.Thread(target=run, name=f"fetch-{i}", daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(SECONDS_BETWEEN_LOOKS)
                yield sum(done.values())
    finally:
        closing.set()
    if errors:
        raise errors[0]
    yield sum(done.values())  # a thread may have ended after the last look


def _fetch(repository: str, commit: str, file: File, done: dict[str, int], closing: threading.Event) -> None:
    if closing.is_set():
        raise _Closed
    if file.size > SMALL_BYTES:
        url = hf_hub_url(repository, file.path, revision=commit)
        etag = get_hf_file_metadata(url).etag or ""
        blob = hub_folder(repository) / "blobs" / etag
        if etag and not blob.exists():
            blob.parent.mkdir(parents=True, exist_ok=True)
            with blob.with_name(blob.name + PARTIAL).open("ab") as partial:
                _wait_for(partial, closing)
                if not blob.exists():  # by another process meanwhile
                    _go_on(url, file, partial, done, closing)
                    _check(partial, blob.name, file)
                    Path(partial.name).replace(blob)
    hf_hub_download(repository, file.path, revision=commit, cache_dir=hub_cache())  # links the blob, or fetches it


def _wait_for(partial: BinaryIO, closing: threading.Event) -> None:
    """Two runs may start on the same base: one fetches a file, the other waits for it."""
    while not closing.is_set():
        try:
            return fcntl.flock(partial, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(SECONDS_BETWEEN_LOOKS)
    raise _Closed


def _go_on(url: str, file: File, partial: BinaryIO, done: dict[str, int], closing: threading.Event) -> None:
    tries = 0
    while (have := partial.seek(0, os.SEEK_END)) < file.size:
        done[file.path] = have
        headers = build_hf_headers() | {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
        try:
            with get_session().stream("GET", url, headers=headers, follow_redirects=True) as response:
                hf_raise_for_status(response)
                if have and response.status_code != GOES_ON:
                    partial.truncate(0)  # this server does not go on, it starts anew
                for chunk in response.iter_raw():
                    partial.write(chunk)
                    done[file.path] = partial.tell()
                    if closing.is_set():
                        raise _Closed
        except httpx.TransportError:
            tries = 0 if partial.tell() > have else tries + 1
            if tries >= MOST_TRIES:
                raise
            closing.wait(2**tries if tries else 0)


def _check(partial: BinaryIO, etag: str, file: File) -> None:
    """Large files are named by their SHA-256. One that is damaged is removed: to go on with it would not help."""
    partial.flush()
    path = Path(partial.name)
    with path.open("rb") as f:
        right = path.stat().st_size == file.size
        if right and _SHA256.fullmatch(etag):
            right = hashlib.file_digest(f, "sha256").hexdigest() == etag
    if not right:
        path.unlink()
        raise InputError(f"base: {file.path} arrived damaged. Fix: start again; what else was fetched is kept")
