"""Keys that may write but not do everything name what the studio has, and no file of the server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from likeness.api.app import create_app
from likeness.api.gate import Access
from likeness.errors import InputError
from likeness.studio import keys, trust
from likeness.studio.workspace import Studio
from tests.studio.datasets_at_hand import EXAMPLES
from tests.studio.runs_at_hand import a_machine, mika, settings
from tests.studio.voice_runs_at_hand import settings as voice_settings
from tests.tiny_run import write_pictures


@pytest.fixture
def ask(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Asks with a key of a scope."""
    a_machine(monkeypatch)
    mika(studio, tmp_path)
    app = create_app(studio, access=Access.bound("127.0.0.1", keys=True))
    with TestClient(app, base_url="http://127.0.0.1:8188") as client:
        secrets = {scope: keys.create(studio, scope, scope)[1] for scope in ("write", "admin")}  # type: ignore[arg-type]

        def post(scope: str, path: str, body: Any) -> Any:
            return client.post(f"/api/v1/{path}", json=body, headers={"X-API-Key": secrets[scope]})

        yield post


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("data.datasets.0.path", {"data": {"datasets": [{"path": "PLACE"}]}}),
        ("data.datasets.0", {"data": {"datasets": ["PLACE"]}}),
        ("data.datasets.0.path", {"data": {"datasets": [{"path": "~/pictures"}]}}),
        ("data.datasets.0.path", {"data": {"datasets": [{"path": "dataset:mika/../../.."}]}}),
        ("base", {"base": "PLACE"}),
        ("model.vae", {"model": {"vae": "PLACE"}}),
        ("lora.start_from", {"lora": {"start_from": "PLACE"}}),
        ("sampling.prompts.0.reference.0", {"sampling": {"prompts": [{"prompt": "x", "reference": ["PLACE"]}]}}),
        ("scorecard.encoder", {"scorecard": {"encoder": "PLACE"}}),
    ],
)
def test_places_in_settings_are_refused(ask: Any, tmp_path: Path, field: str, change: dict[str, Any]) -> None:
    place = str(write_pictures(tmp_path / "secret", 3))

    def put(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: put(v) for k, v in value.items()}
        return [put(v) for v in value] if isinstance(value, list) else place if value == "PLACE" else value

    answer = ask("write", "runs/plan", {"config": settings(**put(change))})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field and "this key may not name" in answer.text


def test_what_the_studio_has_may_be_named(ask: Any) -> None:
    words = {"description": "/etc/passwd", "sampling": {"prompts": ["/imagine ../mika_char"]}}
    assert ask("write", "runs/plan", {"config": settings(**words)}).status_code == 200


def test_a_key_for_everything_may_name_files(ask: Any) -> None:
    config = settings(data={"datasets": [str(EXAMPLES / "character" / "mika")]})
    assert ask("admin", "runs/plan", {"config": config}).status_code == 200


def test_pictures_are_drawn_on_known_bases_alone(ask: Any, tmp_path: Path) -> None:
    answer = ask("write", "generations", {"prompt": "x", "base": str(tmp_path)})
    assert answer.status_code == 422 and "this key may not name" in answer.text


def test_voices_are_trained_on_what_is_known_alone(ask: Any, studio: Studio, tmp_path: Path) -> None:
    config = voice_settings(studio, consent="/I am the speaker and agree.")
    assert ask("write", "voice-runs/plan", {"config": config}).status_code == 200
    answer = ask("write", "voice-runs/plan", {"config": config | {"base": str(tmp_path)}})
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "base"
    del config["recordings"], config["texts"]
    answer = ask("write", "voice-runs/plan", {"config": config | {"data": {"clips": str(tmp_path)}}})
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "data.clips"


def test_at_the_machine_all_may_be_named(tmp_path: Path) -> None:
    trust.check("base", str(tmp_path))
    with trust.from_elsewhere(), pytest.raises(InputError, match=r"base: .* is a place on the server"):
        trust.check("base", str(tmp_path))
    trust.check("base", str(tmp_path))
