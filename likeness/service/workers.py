"""Start a worker process and listen to its events."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from likeness.errors import LAST_WORDS, InputError, Interrupted, LikenessError, RunFailed
from likeness.events import Event, decode

POLL_SECONDS = 0.1
LOG_NAME = "log.txt"
_ERRORS: dict[int, type[LikenessError]] = {2: InputError, 3: RunFailed, 130: Interrupted}


class Worker:
    """A running job. Iterate over `events()`; then `check()` raises what went wrong."""

    def __init__(self, job: str, folder: Path):
        self.folder = folder
        self._events = folder / "events.jsonl"
        self._position = self._events.stat().st_size if self._events.exists() else 0
        self._log_start = (folder / LOG_NAME).stat().st_size if (folder / LOG_NAME).exists() else 0
        environment = {**os.environ, "LIKENESS_PARENT": str(os.getpid()), "PYTHONUNBUFFERED": "1"}
        with (folder / LOG_NAME).open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "likeness.worker", job, str(folder)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,  # Ctrl-C in the terminal reaches us alone; the command line passes it on
            )

    def events(self) -> Iterator[Event]:
        """What the worker tells from now on, until it ends."""
        while True:
            ended = self.process.poll() is not None
            yield from self._new_events()
            if ended:
                return
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Ask the worker to save and end; asked a second time it ends at once."""
        self.process.send_signal(signal.SIGINT)

    def _new_events(self) -> Iterator[Event]:
        if not self._events.exists():
            return
        with self._events.open("rb") as f:
            f.seek(self._position)
            data = f.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._position += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            if event := decode(line):
                yield event

    def check(self) -> None:
        """Wait for the end. Raises InputError, RunFailed or Interrupted with the worker's own words."""
        code = self.process.wait()
        if code == 0:
            return
        words = self.last_words()
        if code < 0:
            words = f"the worker was ended by {signal.Signals(-code).name}" + (f"\n{words}" if words else "")
        words = words or "the worker could not write down why it stopped; is the disk full?"
        if code in _ERRORS:
            raise _ERRORS[code](words)
        raise RunFailed(f"{words}\n(the whole log: {self.folder / LOG_NAME})")

    def last_words(self, lines: int = 15) -> str:
        """What the worker itself said at its end; failing that, the end of its log."""
        with (self.folder / LOG_NAME).open("rb") as f:
            f.seek(self._log_start)
            text = f.read().decode(errors="replace")
        _, said, words = f"\n{text}".rpartition(f"\n{LAST_WORDS}")
        if said:
            return words.strip()
        return "\n".join(text.strip().splitlines()[-lines:])
