"""Agents' tools: in memory for the most part, over HTTP and stdio for the rest."""

import base64
import io
import os
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
import uvicorn
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult
from PIL import Image

from likeness.api.app import create_app
from likeness.api.gate import Access
from likeness.mcp.server import build
from likeness.studio import datasets, keys, queue, runs
from likeness.studio.supervisor import Supervisor
from likeness.studio.workspace import Studio
from tests.studio.datasets_at_hand import EXAMPLES
from tests.studio.runs_at_hand import wait
from tests.tiny_run import write_pictures

MIKA = EXAMPLES / "character" / "mika"


class Agent:
    """Calls tools, and expects them to work."""

    def __init__(self, client: Client):
        self.client = client
        self.progress: list[tuple[float, float | None, str | None]] = []

    async def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return (await self.whole(tool, **arguments)).structured_content or {}

    async def whole(self, tool: str, **arguments: Any) -> CallToolResult:
        async def heard(done: float, total: float | None, words: str | None) -> None:
            self.progress.append((done, total, words))

        found = await self.client.call_tool(tool, arguments, progress_callback=heard)
        assert not found.is_error, found.content
        return found

    async def refused(self, tool: str, **arguments: Any) -> str:
        found = await self.client.call_tool(tool, arguments)
        assert found.is_error and found.content[0].type == "text"
        return found.content[0].text

    async def followed(self, **what: Any) -> dict[str, Any]:
        while True:
            found = await self("follow", seconds=30, **what)
            if found["state"] not in ("queued", "running"):
                return found


def images(result: CallToolResult) -> list[Image.Image]:
    found = [c for c in result.content if c.type == "image"]
    return [Image.open(io.BytesIO(base64.b64decode(c.data))) for c in found]


def with_agent(studio: Studio, way: Callable[[Agent], Awaitable[None]], *, local: bool = True) -> None:
    async def run() -> None:
        async with Client(build(studio, local=local)) as client:
            await way(Agent(client))

    anyio.run(run)


def test_every_tool_says_what_it_does_and_what_it_answers(studio: Studio) -> None:
    async def way(agent: Agent) -> None:
        tools = (await agent.client.list_tools()).tools
        assert [t.name for t in tools][:2] == ["create_dataset", "add_pictures"] and 25 <= len(tools) <= 34
        for tool in tools:
            assert tool.description and len(tool.description) > 40 and tool.output_schema, tool.name
            assert tool.input_schema["additionalProperties"] is False
        looking = {t.name for t in tools if t.annotations and t.annotations.read_only_hint}
        assert looking >= {"view_dataset", "check_dataset", "view_run"} and not looking & {"start_training", "generate"}
        assert "plan_training" in (agent.client.instructions or "")

    with_agent(studio, way)


@pytest.mark.long
def test_from_a_folder_to_a_chosen_epoch(studio: Studio, supervised: Supervisor) -> None:
    async def way(agent: Agent) -> None:
        machine = await agent("inspect_machine")
        assert machine["devices"][0]["name"] == "cpu" and machine["jobs"] == []
        assert any(b["name"] == "starter" and b["here"] for b in (await agent("list_bases"))["bases"])

        made = await agent(
            "create_dataset", name="Mika", kind="character", trigger="mika_char", base="starter", folder=str(MIKA)
        )
        assert len(made["pictures"]) > 5 and made["refused"] == []
        seen = await agent.whole("view_dataset", dataset="Mika", limit=3)
        assert len(images(seen)) == 3 and all(max(i.size) <= 512 for i in images(seen))
        first = (seen.structured_content or {})["pictures"][0]
        assert "mika_char" in first["caption"]

        changed = await agent("edit_captions", dataset="Mika", captions_by_name={first["name"]: "a girl with a hat"})
        assert changed["changed"] == [first["name"]]
        checked = await agent("check_dataset", dataset="Mika")
        assert checked["trigger"]["lacks"] == [first["name"]] and checked["suggested_prompts"]
        assert any("add_trigger" in f["fixes"] for f in checked["findings"])
        await agent("fix_dataset", dataset="Mika", fix="add_trigger")
        assert (await agent("check_dataset", dataset="Mika"))["trigger"]["lacks"] == []
        assert "Taken back" in (await agent("fix_dataset", dataset="Mika", fix="undo"))["words"]
        await agent("fix_dataset", dataset="Mika", fix="add_trigger")

        prompts = ["mika_char at sea", "mika_char in a wood"]
        plan = await agent("plan_training", dataset="Mika", prompts=prompts, settings={"train": {"epochs": 4}})
        assert plan["epochs"] == 4 and plan["images"] == len(made["pictures"]) - plan["held_out"] and plan["fits"]
        assert plan["config"]["data"]["datasets"] == [{"path": "dataset:Mika"}] and plan["name"] == "Mika"
        text = await agent.refused("start_training", config=plan["config"], digest="another")
        assert "digest" in text and "Fix: plan again" in text
        started = await agent("start_training", config=plan["config"], digest=plan["digest"], mock=True)

        ended = await agent.followed(run=started["run"])
        assert ended["state"] == "finished" and ended["epochs_saved"] == 4 and ended["loss"] is not None
        assert any(total == plan["steps"] for _, total, _ in agent.progress)
        assert (await agent("follow", job=started["job"]))["state"] == "finished"

        grid = await agent.whole("view_run", run="Mika")
        assert len(images(grid)) == 1 and images(grid)[0].width == 1024
        large = await agent.whole("view_run", run="Mika", epochs=[4])
        assert len(images(large)) == 2 and (large.structured_content or {})["summary"]["suggested_epoch"] == 4
        chosen = await agent("choose_epoch", run="Mika", epoch=3, publish=False)
        assert chosen["lora"] == "run:Mika/3" and runs.summary_of(studio, "Mika").chosen_epoch == 3
        listed = await agent("list_studio", what="runs")
        assert listed["total"] == 1 and listed["runs"][0]["chosen_epoch"] == 3

    with_agent(studio, way)


def test_follow_comes_back_with_each_new_epoch_and_a_training_can_be_paused(
    studio: Studio, supervised: Supervisor
) -> None:
    async def way(agent: Agent) -> None:
        await agent("create_dataset", name="Mika", kind="character", trigger="mika_char", folder=str(MIKA))
        more = {"train": {"epochs": 40}, "sampling": {"prompts": ["mika_char at sea"]}}
        plan = await agent("plan_training", dataset="Mika", base="starter", settings=more)
        await agent("start_training", config=plan["config"], digest=plan["digest"], mock=True)
        first = await agent("follow", run="Mika", seconds=60)
        assert first["state"] == "running" and 0 < first["epochs_saved"] < 40
        await agent("control_training", run="Mika", action="pause")
        assert (await agent.followed(run="Mika"))["state"] == "paused"
        await agent("control_training", run="Mika", action="resume")
        assert (await agent.followed(run="Mika"))["state"] == "finished"
        assert "there is nothing to stop" in await agent.refused("control_training", run="Mika", action="cancel")

    with_agent(studio, way)


def test_what_is_wrong_is_told_with_the_fix(studio: Studio) -> None:
    async def way(agent: Agent) -> None:
        assert "no dataset 'x'. Fix:" in await agent.refused("view_dataset", dataset="x")
        assert await agent.refused("list_studio", wath=1) == (
            "what: is missing. Fix: give it\nwath: no such argument. Fix: leave it out, or check its spelling"
        )
        await agent("create_dataset", name="Mika", kind="character")
        assert "base: is missing" in await agent.refused("plan_training", dataset="Mika")
        assert "has no pictures" in await agent.refused("plan_training", dataset="Mika", base="starter")
        assert "nothing was asked for" in await agent.refused("edit_captions", dataset="Mika")
        assert "either a run or a job" in await agent.refused("follow")
        assert "prompt" in await agent.refused("generate")

    with_agent(studio, way)


def test_small_files_come_in_the_call_itself(studio: Studio, tmp_path: Path) -> None:
    write_pictures(tmp_path / "p", 1)
    picture = next((tmp_path / "p").glob("*.png"))

    async def way(agent: Agent) -> None:
        await agent("create_dataset", name="Mika", kind="character")
        files = [
            {"name": "a.png", "base64": base64.b64encode(picture.read_bytes()).decode()},
            {"name": "a.txt", "base64": base64.b64encode(b"a small picture").decode()},
            {"name": "b.png", "base64": "no base64!"},
            {"name": "../../c.png", "base64": base64.b64encode(picture.read_bytes()).decode()},
        ]
        came = await agent("add_pictures", dataset="Mika", files=files)
        assert came["pictures"] == ["a.png"] and came["texts"] == ["a.txt"] and len(came["refused"]) == 2

    with_agent(studio, way)
    assert datasets.find(studio, "Mika", "a.png").caption == "a small picture"


def test_callers_from_elsewhere_name_no_folders_of_this_machine(studio: Studio) -> None:
    async def way(agent: Agent) -> None:
        text = await agent.refused("create_dataset", name="Mika", kind="character", folder="/etc")
        assert "callers at this machine" in text
        await agent("create_dataset", name="Mika", kind="character")
        assert "callers at this machine" in await agent.refused("add_pictures", dataset="Mika", folder="/etc")
        assert "is none" in await agent.refused("generate", prompt="x", base="starter", references=["/etc/passwd"])

    with_agent(studio, way, local=False)


@pytest.fixture
def server(studio: Studio) -> Iterator[str]:
    """The address of a server that wants keys."""
    app = create_app(studio, access=Access(keys=True))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        running.should_exit = True
        thread.join()


def over_http(address: str, key: str, way: Callable[[Agent], Awaitable[None]]) -> None:
    async def run() -> None:
        async with (
            httpx2.AsyncClient(headers={"X-API-Key": key}, timeout=120) as plain,
            Client(streamable_http_client(address, http_client=plain)) as client,
        ):
            await way(Agent(client))

    anyio.run(run)


@pytest.mark.long
def test_over_http_with_a_key_from_a_real_training_to_files(
    studio: Studio, server: str, supervised: Supervisor, pictures: Path
) -> None:
    dataset = datasets.create(studio, "tiny", "character", trigger="tiny_char").id
    files = [{"name": p.name, "base64": base64.b64encode(p.read_bytes()).decode()} for p in sorted(pictures.iterdir())]
    settings = {
        "data": {"datasets": [{"path": "dataset:tiny", "repeats": 2}], "resolution": 32},
        "train": {"epochs": 2, "batch_size": 1},
        "lora": {"rank": 4}, "sampling": {"prompts": ["tiny_char at sea"], "width": 32, "height": 32, "steps": 2},
        "hardware": {"device": "cpu", "precision": "fp32", "threads": 1},
    }  # fmt: skip

    async def way(agent: Agent) -> None:
        await agent("add_pictures", dataset=dataset, files=files)
        plan = await agent("plan_training", dataset="tiny", base="starter", settings=settings)
        await agent("start_training", config=plan["config"], digest=plan["digest"])
        ended = await agent.followed(run="tiny")
        assert ended["state"] == "finished", ended
        assert agent.progress  # told on the way, over HTTP too
        first = await agent("choose_epoch", run="tiny", epoch=1, name="Tiny one")
        second = await agent("choose_epoch", run="tiny", epoch=2, name="Tiny two", tags=["best"])
        found = await agent("list_studio", what="models", search="best")
        assert [m["id"] for m in found["models"]] == [second["model"]]

        size = {"width": 32, "height": 32, "steps": 2}
        loras = [{"lora": second["lora"]}]
        drawn = await agent.whole("generate", prompt="at sea", loras=loras, batch=2, seed=7, **size)
        told = drawn.structured_content or {}
        assert told["state"] == "finished" and [p["seed"] for p in told["pictures"]] == [7, 8]
        assert len(images(drawn)) == 2 and any("tiny_char" in w for w in told["warnings"])

        parents = [{"lora": first["lora"], "strength": 0.5}, {"lora": second["lora"], "strength": 0.5}]
        merged = await agent("merge_models", name="Both", loras=parents)
        assert merged["state"] == "finished" and merged["model"]
        exported = await agent("export_model", model=merged["model"])
        assert exported["file"] == "" and exported["address"] == f"/api/v1/models/{merged['model']}/file"
        bundle = await agent("export_model", model=merged["model"], layout="bundle")
        making = await agent("export_model", model=merged["model"], layout="comfyui")
        assert (await agent.followed(job=making["job"]))["state"] == "finished"
        comfy = await agent("export_model", model=merged["model"], layout="comfyui")
        for address in (exported["address"], bundle["address"], comfy["address"]):
            fetched = httpx2.get(f"{server}{address}", headers={"X-API-Key": secret})
            assert fetched.status_code == 200 and len(fetched.content) > 1000, address

    _, secret = keys.create(studio, "agent")
    over_http(f"{server}/mcp/", secret, way)
    assert queue.unseen(studio) >= 1


def test_over_http_without_a_key_or_with_one_for_reading_nobody_comes_in(studio: Studio, server: str) -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"Accept": "application/json, text/event-stream"}
    _, reader = keys.create(studio, "reader", "read")
    for path in ("/mcp", "/mcp/"):
        for headers, status in (({}, 401), ({"X-API-Key": "x"}, 401), ({"X-API-Key": reader}, 403)):
            answer = httpx2.post(f"{server}{path}", json=asked, headers={**accept, **headers})
            assert answer.status_code == status
        foreign = httpx2.post(f"{server}{path}", json=asked, headers={**accept, "Origin": "https://evil.example"})
        assert foreign.status_code == 403
        assert httpx2.post(f"{server}{path}", json=asked, headers={**accept, "Host": "evil.example"}).status_code == 421


@pytest.mark.long
def test_on_stdio_it_runs_the_queue_itself_and_prints_nothing_else(studio: Studio) -> None:
    arguments = ["-m", "likeness", "mcp", "--workspace", str(studio.workspace)]
    started = StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))

    async def run() -> None:
        async with Client(started) as client:
            agent = Agent(client)
            await agent(
                "create_dataset", name="Mika", kind="character", trigger="mika_char", base="starter", folder=str(MIKA)
            )
            more = {"train": {"epochs": 2}, "sampling": {"prompts": ["mika_char at sea"]}}
            plan = await agent("plan_training", dataset="Mika", settings=more)
            await agent("start_training", config=plan["config"], digest=plan["digest"], mock=True)
            assert (await agent.followed(run="Mika"))["state"] == "finished"

    anyio.run(run)
    Supervisor(studio, []).stop()  # nobody holds the queue any more


@pytest.mark.long
def test_on_stdio_beside_a_server_jobs_are_the_servers(studio: Studio, supervised: Supervisor) -> None:
    arguments = ["-m", "likeness", "mcp", "--workspace", str(studio.workspace)]
    started = StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))

    async def run() -> None:
        async with Client(started) as client:
            agent = Agent(client)
            await agent(
                "create_dataset", name="Mika", kind="character", trigger="mika_char", base="starter", folder=str(MIKA)
            )
            plan = await agent("plan_training", dataset="Mika", settings={"train": {"epochs": 2}})
            await agent("start_training", config=plan["config"], digest=plan["digest"], mock=True)
            assert (await agent.followed(run="Mika"))["state"] == "finished"

    anyio.run(run)
    assert len(queue.listed(studio)) == 1 and wait(lambda: queue.listed(studio)[0].attempts) == 1
