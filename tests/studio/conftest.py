import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from likeness.studio import launching, queue
from likeness.studio.supervisor import Supervisor
from likeness.studio.workspace import Studio
from tests.studio.jobs_at_hand import SERVER, pid_of, stand_in


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    found = Studio(tmp_path / "workspace")
    yield found
    found.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of its own for localhost, with its key, in one file."""
    if not shutil.which("openssl"):
        pytest.skip("needs the program openssl")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    words = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout {key} -out {certificate}"
    alternative = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(["openssl", *words.split(), *alternative], check=True, capture_output=True)
    certificate.write_text(certificate.read_text() + key.read_text())
    return certificate


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs count (see `jobs_at_hand`)."""
    monkeypatch.setattr(launching, "spawn", stand_in)


@pytest.fixture
def supervised(studio: Studio) -> Iterator[Callable[..., Supervisor]]:
    made: list[Supervisor] = []

    def start(*devices: str, **values: object) -> Supervisor:
        made.append(Supervisor(studio, devices or ("cpu",), **values))  # type: ignore[arg-type]
        made[-1].start()
        return made[-1]

    yield start
    for one in made:
        one.stop()
    for job in queue.listed(studio, states=["running"]):
        os.kill(pid_of(studio, job), signal.SIGKILL)


@pytest.fixture
def server(studio: Studio) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    made: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        made.append(subprocess.Popen([sys.executable, "-c", SERVER, str(studio.workspace)]))
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.wait()
