"""What was measured of files, kept so that a folder that has not changed is not read again.

A fact belongs to a path and to the size, the times and the inode that the file had; once one of these differs, it is
measured anew. The index may be deleted at any time. Several processes may use one.
"""

import json
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from likeness.errors import InputError

Facts = dict[str, Any]  # plain values, as JSON has them
Measure = Callable[[Path], Facts]  # raises InputError for a file that cannot be used

FILE_NAME = "index.sqlite"
WINDOW = 256  # files that are measured before their facts are saved: what a kill loses
FRESH_SECONDS = 2  # a file may change again within one tick of its clock; so young ones are measured again

_LAYOUT = """
CREATE TABLE IF NOT EXISTS facts (
    kind TEXT NOT NULL, path BLOB NOT NULL, stamp TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, path)
) WITHOUT ROWID
"""


class Index:
    """Facts by kind and path, in an SQLite file or, without one, in memory.

    The index only saves time: where its file is damaged it starts empty, and where it cannot be written facts are
    measured again the next time.
    """

    def __init__(self, file: Path | None = None):
        self._db = _open(file)

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    def known(self, kind: str, stamps: dict[Path, str]) -> dict[Path, Facts]:
        """The facts of those files that are still as they were. `stamps`: see `stamp_of`; at most 900 of them."""
        by_name = {os.fsencode(path): path for path in stamps}
        marks = ",".join("?" * len(by_name))
        query = f"SELECT path, stamp, value FROM facts WHERE kind = ? AND path IN ({marks})"
        try:
            rows = self._db.execute(query, (kind, *by_name)).fetchall()
            return {by_name[p]: json.loads(value) for p, stamp, value in rows if stamps[by_name[p]] == stamp}
        except (sqlite3.Error, ValueError):
            return {}

    def keep(self, kind: str, facts: Iterable[tuple[Path, str, Facts]]) -> None:
        """Save facts as (path, stamp, facts), all or none of them."""
        rows = [(kind, os.fsencode(path), stamp, json.dumps(value)) for path, stamp, value in facts]
        with suppress(sqlite3.Error), self._db:
            self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?)", rows)


def gather(
    files: Iterable[Path],
    kind: str,
    measure: Measure,
    index: Index,
    progress: Callable[[int], object] | None = None,
) -> Iterator[tuple[Path, Facts | InputError]]:
    """The facts of each file, in order and as often as it comes: from the index, or else measured and put into it.

    `kind` names what is measured, and its version: facts of one kind must always be made the same way. `measure` runs
    in threads, on all cores. `progress` is told the number of files done. Memory does not grow with their number.
    """
    waiting, done = iter(files), 0
    with ThreadPoolExecutor(max_workers=min(16, os.cpu_count() or 1)) as pool:
        try:
            while window := list(islice(waiting, WINDOW)):
                yield from _gather_window(window, kind, measure, index, pool)
                done += len(window)
                if progress:
                    progress(done)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _gather_window(
    window: Sequence[Path], kind: str, measure: Measure, index: Index, pool: ThreadPoolExecutor
) -> Iterator[tuple[Path, Facts | InputError]]:
    unique = dict.fromkeys(window)
    stamps = {file: stamp for file in unique if (stamp := stamp_of(file))}
    results: dict[Path, Facts | InputError] = dict(index.known(kind, stamps))
    running: dict[Path, Future[Facts]] = {f: pool.submit(measure, f) for f in unique if f not in results}
    fresh: list[tuple[Path, str, Facts]] = []
    for file, future in running.items():
        try:
            results[file] = facts = future.result()
        except InputError as e:
            results[file] = e
            continue
        stamp = stamps.get(file)
        if stamp and stamp == stamp_of(file):
            fresh.append((file, stamp, facts))
    if fresh:
        index.keep(kind, fresh)
    for file in window:
        yield file, results[file]


def stamp_of(file: Path) -> str | None:
    """What tells a file from a later state of it; None if it is not a plain file, or changed a moment ago."""
    try:
        facts = file.stat()
    except (OSError, ValueError):
        return None
    changed = max(facts.st_mtime_ns, facts.st_ctime_ns)
    if not stat.S_ISREG(facts.st_mode) or changed > time.time_ns() - FRESH_SECONDS * 1_000_000_000:
        return None
    return f"{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns} {facts.st_ino}"


def _open(file: Path | None) -> sqlite3.Connection:
    if file is None:
        return _connected(":memory:")
    for _ in range(2):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            return _connected(str(file))
        except sqlite3.DatabaseError as e:
            if isinstance(e, sqlite3.OperationalError):  # no room, no rights, or in use for long: not damaged
                break
            with suppress(OSError):
                file.unlink()
        except OSError:
            break
    return _connected(":memory:")


def _connected(name: str) -> sqlite3.Connection:
    db = sqlite3.connect(name, timeout=30)
    try:
        db.execute("PRAGMA journal_mode = WAL")  # readers and one writer do not wait for each other
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(_LAYOUT)
    except sqlite3.Error:
        db.close()
        raise
    return db
