import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from likeness import cli
from likeness.service import workers
from tests.tiny_run import write_config
from tests.worker import dying


@dataclass(frozen=True)
class Answer:
    """What a command left on the terminal."""

    code: int
    out: str
    error: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def words(self) -> str:
        """All of it, on one line: the terminal breaks lines where it likes."""
        return " ".join((self.out + self.error).split())


@pytest.fixture
def likeness(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Answer]:
    """`likeness ARGUMENTS` in this process, working in `tmp_path`. Its workers are forked, so they start at once."""

    def run(*arguments: object) -> Answer:
        capsys.readouterr()
        code = cli.main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli.screen, "width", 200, raising=False)
    monkeypatch.setattr(workers.subprocess, "Popen", Forked)
    return run


class Forked(subprocess.Popen):  # type: ignore[type-arg]
    """What Popen would have started, forked from a warm process."""

    def __init__(self, command: list[str], **_: object):
        self.process = dying.start(Path(command[-1]), command[-2])
        self.pid = self.process.pid or 0

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self.process.join(timeout)
        assert self.process.exitcode is not None
        return self.process.exitcode

    def send_signal(self, sig: int) -> None:
        os.kill(self.pid, sig)

    def __del__(self, *_: object) -> None:
        pass


@pytest.fixture
def config(tiny_base: Path, pictures: Path, tmp_path: Path) -> Path:
    """A run that works: three pictures on the tiny base."""
    return write_config(tmp_path / "tiny.yaml", tiny_base, pictures)
