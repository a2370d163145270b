"""The guide to REST: its commands run as they stand, in one shell, against a real server."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.browser.serving import serving
from tests.docs.blocks import ROOT, blocks

GUIDE = ROOT / "docs" / "guides" / "rest.md"


@pytest.mark.long
def test_the_commands_lead_from_pictures_to_a_file(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples/character", tmp_path / "examples/character")
    commands = [block.text for block in blocks(GUIDE) if block.language == "sh"]
    assert len(commands) == 5, "a block that is not marked sh would not run"
    with serving(tmp_path / "workspace") as server:
        server.supervise()
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(commands)], cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, "API": f"{server.address}/api/v1"}, timeout=240,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    said = done.stdout.splitlines()
    assert "[]" in said, "the example has no findings"
    assert "mika_char, smiling, half body, in a city, flat style" in said
    assert any(line.endswith("event: checkpoint") for line in said) and any("event: close" in line for line in said)
    assert said[-1].endswith("trian"), "the wrong field is named"
    assert (tmp_path / "mika.safetensors").stat().st_size > 100
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")
