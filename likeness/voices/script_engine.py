"""Any other engine, in a process with packages of its own, so that its pins never fight ours: lines of JSON over pipes.

A script with inline dependencies (PEP 723) is started by `uv run --script` where there is uv, any other by this Python.
It says `{"event": "ready", "protocol": 1}`; then each request gets one answer with the same `id` and `ok`:

    {"op": "learn", "id": 1, "reference": WAV, "folder": FOLDER}                        -> {"values": {…}} (optional)
    {"op": "say", "id": 2, "text": …, "reference": WAV, "folder": FOLDER, "values": {…},
     "seed": 0, "speed": 1.0, "strength": 1.0, "out": WAV}                              -> the file is there
    {"op": "quit"}                                                                      -> it ends
"""

import json
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, cast

from likeness.config.voice import REFERENCE
from likeness.errors import InputError, RunFailed
from likeness.voices.audio import Clip, read_clip, write_sound
from likeness.voices.engine import Manner

PROTOCOL = 1
STARTING, ANSWERING = 1800.0, 600.0  # seconds; at the first start packages and weights are fetched
LONGEST_LINE = 1_000_000


class ScriptEngine:
    """Starts the script when it is first asked for something; ends it with `close`, or with this process."""

    def __init__(self, script: Path):
        if not script.is_file():
            raise InputError(f"--script: {script} is not there. Fix: give the path of an engine's script")
        self.script = script.resolve()
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._log: IO[str] | None = None  # what it writes to stderr; a file without a name, so that none is left
        self._number = 0

    def learn(self, reference: Clip, folder: Path) -> dict[str, Any]:
        place = folder / REFERENCE
        if not place.exists():
            write_sound(place, reference.samples, reference.rate)
        answer = self._ask({"op": "learn", "reference": str(place), "folder": str(folder)})
        values: Any = answer.get("values")
        return {"script": str(self.script), "own": values if isinstance(values, dict) else {}}

    def say(self, text: str, folder: Path, values: Mapping[str, Any], manner: Manner) -> Clip:
        with tempfile.TemporaryDirectory() as place:
            out = Path(place) / "said.wav"
            self._ask({
                "op": "say", "text": text, "reference": str(folder / REFERENCE), "folder": str(folder),
                "values": values.get("own", {}), "out": str(out), **asdict(manner),
            })  # fmt: skip
            return read_clip(out)

    def notes(self, manner: Manner) -> list[str]:
        return []

    def close(self) -> None:
        """Ask it to end, and see to it that it does."""
        if self._process is None:
            return
        process, self._process = self._process, None
        try:
            if process.stdin:
                process.stdin.write('{"op": "quit"}\n')
                process.stdin.close()
            process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            process.kill()
            process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        process = self._process or self._start()
        self._number += 1
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps({**request, "id": self._number}) + "\n")
            process.stdin.flush()
        except OSError as e:
            raise self._failed("ended by itself") from e
        answer = self._next(ANSWERING)
        if answer.get("id") != self._number:
            raise self._failed("answered something else than was asked")
        if answer.get("ok") is not True:
            raise RunFailed(f"{self.script.name}: {str(answer.get('error') or 'failed without a word')[:1000]}")
        return answer

    def _start(self) -> subprocess.Popen[str]:
        inline = "# /// script" in self.script.read_text(encoding="utf-8", errors="replace")
        uv = shutil.which("uv")
        if inline and uv is None:
            raise InputError(
                f"--script: {self.script.name} lists its own packages, which uv fetches. Fix: pip install uv"
            )
        command = [uv, "run", "--script"] if inline and uv else [sys.executable]
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        process = subprocess.Popen(
            [*command, str(self.script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        self._process = process
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        ready = self._next(STARTING)
        if ready.get("event") != "ready" or ready.get("protocol") != PROTOCOL:
            raise self._failed(f"did not say that it is ready for protocol {PROTOCOL}")
        return process

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        while line := process.stdout.readline(LONGEST_LINE):
            self._lines.put(line)
        self._lines.put(None)

    def _next(self, patience: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=patience)
        except queue.Empty as e:
            raise self._failed(f"said nothing for {patience:.0f} s") from e
        if line is None:
            raise self._failed("ended by itself")
        try:
            answer: Any = json.loads(line)
        except ValueError as e:
            raise self._failed(f"printed something that is no answer: {line[:100]!r}") from e
        if not isinstance(answer, dict):
            raise self._failed(f"printed something that is no answer: {line[:100]!r}")
        return cast(dict[str, Any], answer)

    def _failed(self, what: str) -> RunFailed:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        return RunFailed("\n".join([f"{self.script.name}: {what}", *self._last_words()]))

    def _last_words(self) -> list[str]:
        """The last lines that the ended process wrote to stderr, once."""
        if self._log is None:
            return []
        with self._log as log:
            self._log = None
            log.seek(0)
            return log.read().strip().splitlines()[-8:]
