"""The same input by page, REST, agent and command line gives the same run."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient
from mcp import Client

from likeness.api.app import create_app
from likeness.mcp.server import build
from likeness.service import runs as service_runs
from likeness.studio import runs
from likeness.studio.workspace import Studio
from tests.studio.runs_at_hand import a_machine, mika

ADDRESS = "http://127.0.0.1:8188"
PROMPTS = ["mika_char at sea", "a girl in a wood"]
CONFIG: dict[str, Any] = {
    "name": "mika", "kind": "character", "base": "starter", "trigger": "mika_char",
    "data": {"datasets": [{"path": "dataset:mika", "repeats": 3}]}, "train": {"epochs": 4},
    "sampling": {"prompts": PROMPTS},
}  # fmt: skip
FORM: dict[str, Any] = {
    "name": "mika", "kind": "character", "base": "starter", "trigger": "mika_char", "dataset": "dataset:mika",
    "set:data.datasets.0.repeats": "3", "set:train.epochs": "4", "prompt": PROMPTS,
}  # fmt: skip


def by_rest(studio: Studio, place: Path) -> None:
    with TestClient(create_app(studio), base_url=ADDRESS) as client:
        planned = client.post("/api/v1/runs/plan", json={"config": CONFIG})
        assert planned.status_code == 200, planned.text
        started = client.post("/api/v1/runs", json={"config": CONFIG, "digest": planned.json()["digest"]})
        assert started.status_code == 201, started.text


def by_page(studio: Studio, place: Path) -> None:
    with TestClient(create_app(studio), base_url=ADDRESS) as client:
        headers = {"HX-Request": "true", "Origin": ADDRESS}
        plan = client.post("/train/plan", data=FORM, headers=headers)
        digest = re.search(r"[0-9a-f]{64}", plan.text)
        assert digest, plan.text
        started = client.post("/train/start", data=FORM | {"digest": digest[0]}, headers=headers)
        assert started.status_code < 300, started.text


def by_agent(studio: Studio, place: Path) -> None:
    async def way() -> None:
        async with Client(build(studio, local=True)) as client:
            settings = {"train": {"epochs": 4}, "data": {"datasets": [{"path": "dataset:mika", "repeats": 3}]}}
            asked = {"dataset": "mika", "base": "starter", "name": "mika", "prompts": PROMPTS, "settings": settings}
            planned = await client.call_tool("plan_training", asked)
            assert not planned.is_error and planned.structured_content, planned.content
            told = planned.structured_content
            started = await client.call_tool("start_training", {"config": told["config"], "digest": told["digest"]})
            assert not started.is_error, started.content

    anyio.run(way)


def by_command_line(studio: Studio, place: Path) -> None:
    """What `likeness train` does with the file that a plan gives."""
    file = place / "mika.yaml"
    file.write_text(runs.plan(studio, CONFIG).yaml)
    service_runs.start(service_runs.prepare(file), studio.workspace)


@pytest.mark.parametrize("way", [by_rest, by_page, by_agent])
def test_each_way_makes_the_run_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Callable[[Studio, Path], None]
) -> None:
    a_machine(monkeypatch)
    studio = Studio(tmp_path / "workspace")
    mika(studio, tmp_path)
    found: list[tuple[dict[str, Any], bytes]] = []
    for each in (way, by_command_line):
        each(studio, tmp_path)
        folder = studio.run_folder("mika")
        frozen = json.loads((folder / "run.json").read_text())
        assert frozen["config"]["train"]["epochs"] == 4 and frozen["plan"]["images"] == 10
        frozen["sources"] = {key: place.split(":")[0] for key, place in frozen["sources"].items()}  # lines may differ
        found.append((frozen, (folder / "manifest.jsonl").read_bytes()))
        folder.rename(tmp_path / each.__name__)
    studio.close()
    assert found[0] == found[1]
