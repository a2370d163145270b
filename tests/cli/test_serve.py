"""The server as a process of its own, ended in all the ways there are. Its jobs are stand-ins for a worker's."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from likeness.api.gate import COOKIE
from likeness.service.workers import Order
from likeness.store.tables import Job
from likeness.studio import datasets, queue
from likeness.studio.queue import Entry
from likeness.studio.workspace import Studio
from tests.browser.test_studio_upload import picture as noise
from tests.cli.conftest import Answer
from tests.studio.jobs_at_hand import pid_of, steps
from tests.studio.runs_at_hand import a_machine, mika, start
from tests.waiting import wait

ROOT = Path(__file__).parent.parent.parent
SERVER = """
import sys
from likeness.cli import main, serve
from likeness.studio import launching
from tests.studio.jobs_at_hand import stand_in
launching.spawn, serve.devices = stand_in, lambda: ["cpu"]
sys.exit(main(["serve", "--no-open", "--port", "0", *sys.argv[1:]]))
"""


@dataclass
class Server:
    process: "subprocess.Popen[str]"
    workspace: Path

    def address(self) -> str:
        """Waits until it says where it is."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("Likeness is at "):
                return line.split()[3]
        raise AssertionError("the server said nothing")

    def end(self, how: signal.Signals = signal.SIGINT) -> str:
        """What it says at its end."""
        self.process.send_signal(how)
        return self.process.communicate(timeout=30)[0]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def start(*options: str, workspace: Path = tmp_path / "runs") -> Server:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, "--workspace", str(workspace), *options],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        made.append(Server(process, workspace))
        return made[-1]

    yield start
    for server in made:
        server.process.kill()
        server.process.wait()
    for workspace in {server.workspace for server in made}:
        studio = Studio(workspace)
        for job in queue.listed(studio, states=["running"]):
            os.kill(pid_of(studio, job), signal.SIGKILL)
        studio.close()


def add(workspace: Path, title: str = "maya", **content: object) -> tuple[Studio, Job]:
    studio = Studio(workspace)
    return studio, queue.submit(studio, Order("sample", {"steps": 5, **content}), Entry(title))


def test_it_serves_and_says_at_its_end_what_goes_on(serve: Callable[..., Server], tmp_path: Path) -> None:
    _, job = add(tmp_path / "runs", steps=10_000)
    add(tmp_path / "runs", "noa")
    server = serve()
    address = server.address()
    assert httpx.get(f"{address}/healthz").json() == {"status": "ok"}
    assert "text/html" in httpx.get(address).headers["content-type"]
    wait(lambda: steps(job))
    said = server.end()
    assert server.process.returncode == 0 and "Traceback" not in said
    assert "'maya' goes on without the server" in said and "1 in the queue waits for the next" in said
    before = len(steps(job))
    wait(lambda: len(steps(job)) > before)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_when_asked(serve: Callable[..., Server], how: signal.Signals) -> None:
    server = serve()
    address = server.address()
    with httpx.Client() as client:  # a connection that is kept open
        client.get(f"{address}/healthz")
        said = server.end(how)
    assert server.process.returncode == 0 and "The server has ended." in said and "Traceback" not in said


@pytest.mark.long
def test_a_killed_server_loses_nothing_and_nothing_is_done_twice(serve: Callable[..., Server], tmp_path: Path) -> None:
    studio, first = add(tmp_path / "runs", steps=150)
    _, second = add(tmp_path / "runs", "noa", steps=5)
    server = serve()
    server.address()
    wait(lambda: steps(first))
    server.process.kill()
    server.process.wait()
    assert queue.get(studio, first.id).state == "running" and queue.get(studio, second.id).state == "queued"
    again = serve()
    assert httpx.get(f"{again.address()}/api/v1/jobs").status_code == 200
    wait(lambda: queue.get(studio, second.id).state == "finished")
    assert queue.get(studio, first.id).state == "finished"
    assert queue.get(studio, first.id).attempts == 1 and steps(first) == list(range(150))
    assert steps(second) == list(range(5))


@pytest.mark.long
def test_server_and_worker_killed_together_go_on_where_they_were(serve: Callable[..., Server], tmp_path: Path) -> None:
    studio, job = add(tmp_path / "runs", steps=100)
    server = serve()
    server.address()
    wait(lambda: steps(job))
    server.process.kill()
    os.kill(pid_of(studio, job), signal.SIGKILL)
    server.process.wait()
    serve()
    wait(lambda: queue.get(studio, job.id).state == "finished")
    assert queue.get(studio, job.id).attempts == 2 and steps(job) == list(range(100))


@pytest.mark.long
def test_a_job_that_was_asked_for_over_rest_with_a_killed_server_in_between_is_there_once(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve("--create-key")
    address, headers = server.address(), {"Idempotency-Key": "k"}
    for _ in range(3):
        answer = httpx.post(f"{address}/api/v1/keys", json={"name": "once"}, headers=headers)
    server.process.kill()
    server.process.wait()
    address = serve().address()
    answer = httpx.post(f"{address}/api/v1/keys", json={"name": "once"}, headers=headers)
    assert answer.status_code == 409
    assert [key["name"] for key in httpx.get(f"{address}/api/v1/keys").json()].count("once") == 1


@pytest.mark.long
def test_an_upload_that_a_killed_server_had_half_of_goes_on_and_arrives_once(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    file = noise(tmp_path / "large.png", 1200)
    data, half = file.read_bytes(), file.stat().st_size // 2
    server = serve()
    address = server.address()
    dataset = httpx.post(f"{address}/api/v1/datasets", json={"name": "maya"}).json()["id"]
    place = f"/api/v1/datasets/{dataset}/files/large.png"

    def body() -> Iterator[bytes]:
        yield data[:half]
        wait(lambda: (told := told_of(address)) and told[0]["received"] >= 2**20)
        server.process.kill()
        server.process.wait()
        yield data[half:]

    def told_of(address: str) -> list[dict[str, int]]:
        return httpx.get(f"{address}/api/v1/datasets/{dataset}/uploads").json()["uploads"]

    with pytest.raises(httpx.TransportError):
        httpx.put(f"{address}{place}", content=body(), headers={"Content-Length": str(len(data))})
    address = serve().address()
    assert httpx.get(f"{address}/api/v1/datasets/{dataset}").json()["pictures"] == 0
    offset = int(httpx.head(f"{address}{place}", headers={"Upload-Length": str(len(data))}).headers["upload-offset"])
    assert 0 < offset <= half
    span = {"Content-Range": f"bytes {offset}-{len(data) - 1}/{len(data)}"}
    for _ in range(2):  # the second is told what became of the first
        answer = httpx.put(f"{address}{place}", content=data[offset:], headers=span)
        offset, span = len(data), {"Content-Range": f"bytes {len(data)}-{len(data)}/{len(data)}"}
    assert answer.status_code == 201 and answer.json()["pictures"] == ["large.png"]
    studio = Studio(tmp_path / "runs")
    assert datasets.path_of(studio, dataset, "large.png").read_bytes() == data
    assert len(datasets.pictures(studio, dataset)[0]) == 1 and not list(studio.uploads.rglob("data"))
    studio.close()


def test_it_ends_though_pages_follow_a_run(
    serve: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_machine(monkeypatch)
    studio, _ = add(tmp_path / "runs", steps=10_000)
    mika(studio, tmp_path)
    start(studio)  # waits behind the other
    server = serve()
    address = server.address()
    with httpx.Client(timeout=60) as client, client.stream("GET", f"{address}/api/v1/runs/mika/events") as stream:
        assert stream.status_code == 200
        said = server.end()
    assert server.process.returncode == 0 and "The server has ended" in said and "Traceback" not in said, said


def test_what_was_left_long_ago_is_cleared_away(serve: Callable[..., Server], tmp_path: Path) -> None:
    left = tmp_path / "runs" / "studio" / "uploads" / "left.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    os.utime(left, (1, 1))
    serve().address()
    wait(lambda: not left.exists())


def test_a_port_that_is_taken_is_told_with_the_fix(
    serve: Callable[..., Server], likeness: Callable[..., Answer]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = likeness("serve", "--no-open", "--port", port)
    assert answer.code == 2 and f"--port: {port} is taken" in answer.error and f"--port {port + 1}" in answer.error


def test_one_workspace_has_one_server(serve: Callable[..., Server]) -> None:
    serve().address()
    second = serve()
    said, _ = second.process.communicate(timeout=30)
    assert second.process.returncode == 2 and "another `likeness serve` has this workspace" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--host", "0.0.0.0"], "--create-key"),
        (["--require-key"], "likeness keys create"),
        (["--host", "no.such.host.invalid"], "has no address"),
        (["--host", "203.0.113.9", "--create-key"], "cannot be listened at"),
        (["--port", "70000"], "--port"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_fix(
    likeness: Callable[..., Answer], options: list[str], words: str
) -> None:
    answer = likeness("serve", "--no-open", *options)
    assert answer.code == 2 and words in answer.error and "Fix: " in answer.error


def test_beyond_loopback_a_key_is_needed(serve: Callable[..., Server]) -> None:
    server = serve("--host", "0.0.0.0", "--create-key")
    address = server.address()
    assert server.process.stdout is not None
    key = next(line for line in server.process.stdout if "shown this once" in line).split()[-1]
    assert httpx.get(f"{address}/api/v1/jobs").status_code == 401
    assert httpx.get(f"{address}/api/v1/jobs", headers={"X-API-Key": key}).status_code == 200
    assert httpx.get(f"{address}/queue", headers={"Cookie": f"{COOKIE}={key}"}).status_code == 200
    assert httpx.get(f"{address}/api/v1/jobs", headers={"X-API-Key": key, "Host": "evil.example"}).status_code == 421


def test_keys_are_made_listed_and_revoked(likeness: Callable[..., Answer]) -> None:
    made = likeness("keys", "create", "maya", "--scope", "read", "--json").json
    assert made["key"].startswith("likeness_") and made["scopes"] == ["read"]
    words = likeness("keys", "create", "noa")
    assert "shown this once" in words.out and "likeness_" in words.out
    listed = likeness("keys", "list")
    assert "maya" in listed.out and "never" in listed.out and "likeness_" not in listed.out
    assert likeness("keys", "revoke", "maya").code == 0
    assert likeness("keys", "revoke", "maya").code == 2
    assert json.loads(likeness("keys", "list", "--json").out)[1]["revoked"] is not None


def test_the_memory_of_a_server_stays_small(serve: Callable[..., Server]) -> None:
    psutil = pytest.importorskip("psutil")
    server = serve()
    address = server.address()
    for path in ("", "train", "runs", "datasets", "library", "generate", "merge", "queue", "settings", "api/v1/jobs"):
        assert httpx.get(f"{address}/{path}", timeout=60).status_code == 200, path
    time.sleep(0.2)
    assert psutil.Process(server.process.pid).memory_info().rss < 150e6
