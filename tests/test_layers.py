"""Who may import whom. This table is the architecture; the tests keep it true."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "likeness"

BEDROCK = {"errors", "durable", "events"}
FLOOR = BEDROCK | {"catalog", "config", "dataset", "report"}  # torch-free, shared by both planes
FACES = {"cli", "api", "web", "mcp"}
COMPUTE = {"functional", "families", "lora"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "durable": set(),
    "events": {"durable"},
    "catalog": {"errors"},
    "config": {"errors", "catalog"},
    "dataset": {"errors", "durable", "config"},
    "report": {"errors", "durable", "events"},
    # control plane: no torch
    "service": FLOOR,
    "store": {"errors"},
    "studio": FLOOR | {"service", "store"},
    "client": {"errors"},  # stands alone: it may be copied into another program
    **{face: FLOOR | {"service", "studio", "store"} | FACES for face in sorted(FACES)},
    "__main__": {"cli"},
    # compute plane: owns the device
    "functional": set(),
    "families": BEDROCK | {"catalog", "config", "functional", "lora"},
    "lora": BEDROCK | {"functional"},
    "train": FLOOR - {"report"} | COMPUTE,
    "sample": FLOOR - {"report"} | COMPUTE,
    "judge": FLOOR - {"report"},
    "captioning": FLOOR - {"report"} | {"families"},
    "enhance": BEDROCK | {"dataset"},
    "voices": BEDROCK | {"config", "functional", "train"},
    "worker": FLOOR | COMPUTE | {"train", "sample", "judge", "captioning", "enhance", "voices"},
    "__init__": set(),
}
TORCH = {"torch", "diffusers", "transformers", "peft", "safetensors"}
TORCH_FREE = FLOOR | {"service", "store", "studio", "client"} | FACES


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def violations(package: Path) -> Iterator[str]:
    for path in sorted(package.rglob("*.py")):
        here = path.relative_to(package).parts[0].removesuffix(".py")
        for name in imported(path):
            top, *rest = name.split(".")
            if top == package.name and rest and rest[0] not in {here, "__version__"} | ALLOWED[here]:
                yield f"{path.relative_to(package)}: {here} may not import {rest[0]}"
            if top in TORCH and here in TORCH_FREE:
                yield f"{path.relative_to(package)}: {here} must stay free of {top}"


def test_imports_follow_the_table() -> None:
    assert list(violations(PACKAGE)) == []


def test_every_room_is_in_the_table() -> None:
    rooms = {p.relative_to(PACKAGE).parts[0].removesuffix(".py") for p in PACKAGE.rglob("*.py")}
    assert rooms <= set(ALLOWED)


def test_the_table_is_seen_to_be_broken(tmp_path: Path) -> None:
    package = tmp_path / "likeness"
    (package / "service").mkdir(parents=True)
    (package / "service" / "bad.py").write_text("import torch\nfrom likeness.train import loop\n")
    assert len(list(violations(package))) == 2


def test_the_control_plane_runs_without_torch() -> None:
    code = "import likeness.cli, likeness.service.runs, likeness.service.samples, likeness.report.page, sys;"
    code += "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'diffusers', 'transformers', 'peft'}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
