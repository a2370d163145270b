"""An upload to a stand-in for the hub, by the real worker in a process of its own."""

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


class Hub:
    """Keeps what is committed, and who asked. `refuses`: answer everything with this status."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.made: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self.refuses = 0


@pytest.fixture
def hub() -> Iterator[tuple[Hub, str]]:
    kept = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kept.tokens.add(self.headers.get("Authorization", ""))
            if kept.refuses:
                return self.answer({"error": "no"}, kept.refuses)
            if self.path == "/api/repos/create":
                kept.made.append(json.loads(body))
                return self.answer({"url": f"http://{self.headers['Host']}/ada/mika", "name": "ada/mika"})
            if self.path == "/api/validate-yaml":  # the model card's front matter
                return self.answer({"errors": [], "warnings": []})
            if self.path.endswith("/preupload/main"):
                asked = json.loads(body)["files"]
                rows = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in asked]
                return self.answer({"files": rows})
            if self.path.endswith("/commit/main"):
                for line in body.splitlines():
                    row = json.loads(line)
                    if row["key"] == "file":
                        kept.files[row["value"]["path"]] = base64.b64decode(row["value"]["content"])
                url = f"http://{self.headers['Host']}/ada/mika/commit/abc"
                return self.answer({"commitOid": "abc", "commitUrl": url, "hookOutput": "", "success": True})
            return self.answer({"error": f"no such place {self.path}"}, 404)

        def do_GET(self) -> None:
            self.answer({"error": f"no such place {self.path}"}, 404)

        def answer(self, body: Any, status: int = 200) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield kept, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def job(tmp_path: Path) -> Path:
    files = tmp_path / "job" / "files"
    (files / "examples").mkdir(parents=True)
    (files / "README.md").write_text("---\nlicense: apache-2.0\n---\n\n# Mika\n")
    (files / "mika.safetensors").write_bytes(b"weights")
    (files / "examples" / "a.png").write_bytes(b"picture")
    order = {"folder": str(files), "repository": "ada/mika", "private": True}
    (files.parent / "job.json").write_text(json.dumps(order))
    return files.parent


def publish(job: Path, endpoint: str, tmp_path: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_TOKEN": "hf_secret", "HF_HOME": str(tmp_path / "hf"),
                   "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}  # fmt: skip
    environment.pop("HF_HUB_OFFLINE", None)
    command = [sys.executable, "-m", "likeness.worker", "publish", str(job)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_all_files_are_uploaded_with_the_token(hub: tuple[Hub, str], job: Path, tmp_path: Path) -> None:
    kept, endpoint = hub
    done = publish(job, endpoint, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(kept.files) == {"README.md", "mika.safetensors", "examples/a.png"}
    assert kept.files["mika.safetensors"] == b"weights" and kept.made[0]["visibility"] == "private"
    assert kept.tokens == {"Bearer hf_secret"}
    result = json.loads((job / "result.json").read_text())
    assert result["repository"] == "ada/mika" and result["commit"] == "abc"
    assert "hf_secret" not in done.stdout + done.stderr + json.dumps(result)


def test_a_token_that_may_not_is_told(hub: tuple[Hub, str], job: Path, tmp_path: Path) -> None:
    kept, endpoint = hub
    kept.refuses = 403
    done = publish(job, endpoint, tmp_path)
    assert done.returncode == 2 and "the hub lets nobody with this token write to ada/mika (403)" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_hub_that_is_not_there_is_told(job: Path, tmp_path: Path) -> None:
    done = publish(job, "http://127.0.0.1:9", tmp_path)
    assert done.returncode == 1 and "the hub cannot be reached" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
