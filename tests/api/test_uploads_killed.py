"""The server is killed over an upload, and what had come is there when it is back."""

import io
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image

CODE = """
import sys, uvicorn
from pathlib import Path
from likeness.api.app import create_app
from likeness.studio.workspace import Studio
uvicorn.run(create_app(Studio(Path(sys.argv[1]))), port=int(sys.argv[2]), log_level="error")
"""


def start(workspace: Path, port: int) -> "subprocess.Popen[bytes]":
    server = subprocess.Popen([sys.executable, "-c", CODE, str(workspace), str(port)])
    for _ in range(1200):
        try:
            httpx.get(f"http://127.0.0.1:{port}/healthz")
            return server
        except httpx.TransportError:
            assert server.poll() is None, "the server did not start"
            time.sleep(0.1)
    raise AssertionError("the server did not start")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@pytest.mark.long
def test_a_server_killed_over_an_upload_loses_none_of_it(tmp_path: Path) -> None:
    port = free_port()
    out = io.BytesIO()
    Image.effect_noise((800, 800), 90).convert("RGB").save(out, "PNG")
    data = out.getvalue() + bytes(4 << 20)
    server = start(tmp_path, port)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        there = f"/api/v1/datasets/{client.post('/api/v1/datasets', json={'name': 'Mika'}).json()['id']}"
        client.put(f"{there}/files/first.png", content=out.getvalue())
    with socket.create_connection(("127.0.0.1", port)) as wire:
        head = f"PUT {there}/files/a.png HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(data)}\r\n\r\n"
        wire.sendall(head.encode() + data[: 3 << 20])
        parts = tmp_path / "studio" / "uploads"
        while not any(part.stat().st_size >= 1 << 20 for part in parts.rglob("data")):
            time.sleep(0.01)
        server.kill()
        server.wait()
    server = start(tmp_path, port)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}{there}") as client:
            asked = client.head("/files/a.png", headers={"Upload-Length": str(len(data))})
            offset = int(asked.headers["Upload-Offset"])
            assert offset >= 1 << 20
            rest = {"Content-Range": f"bytes {offset}-{len(data) - 1}/{len(data)}"}
            assert client.put("/files/a.png", content=data[offset:], headers=rest).json()["pictures"] == ["a.png"]
            assert client.get("/pictures/a.png").content == data
            assert [image["name"] for image in client.get("/images").json()["images"]] == ["a.png", "first.png"]
    finally:
        server.kill()
        server.wait()
