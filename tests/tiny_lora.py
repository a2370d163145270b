"""LoRA files and finished runs made by hand, without torch: small, sound, and each unlike the others."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from likeness import durable
from likeness.events import CheckpointSaved, EventLog, RunFinished, RunStarted, SampleSaved, VerdictGiven

TRIGGER = "mika_char"
LAYERS = ("transformer.transformer_blocks.0.attn.to_q", "transformer.transformer_blocks.0.attn.to_k")
PROMPTS = (f"{TRIGGER} on a beach", "a dog on a beach", f"{TRIGGER} at night")


def header_of(tensors: dict[str, np.ndarray[Any, Any]], metadata: dict[str, str]) -> tuple[dict[str, Any], bytes]:
    """What a safetensors file says of these tensors, and their bytes."""
    rows: dict[str, Any] = {"__metadata__": metadata}
    data = b""
    for name, array in tensors.items():
        raw = array.tobytes()
        rows[name] = {"dtype": "F16", "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    return rows, data


def write_raw(path: Path, header: bytes, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


def tiny_tensors(seed: int = 0, rank: int = 4) -> dict[str, np.ndarray[Any, Any]]:
    random = np.random.default_rng(seed)
    found: dict[str, np.ndarray[Any, Any]] = {}
    for layer in LAYERS:
        found[f"{layer}.lora_A.weight"] = random.normal(size=(rank, 16)).astype(np.float16)
        found[f"{layer}.lora_B.weight"] = random.normal(size=(16, rank)).astype(np.float16)
    return found


def own_metadata(**values: Any) -> dict[str, str]:
    """As Likeness writes it."""
    own = {"name": "mika", "base": "starter", "trigger": TRIGGER, "rank": 4, "epoch": 1, "step": 10, "type": "lora"}
    return {"likeness": json.dumps(own | values), "modelspec.architecture": "flux2/lora"}


def write_lora(path: Path, seed: int = 0, metadata: dict[str, str] | None = None) -> Path:
    rows, data = header_of(tiny_tensors(seed), own_metadata() if metadata is None else metadata)
    return write_raw(path, json.dumps(rows).encode(), data)


def write_picture(path: Path, colour: tuple[int, int, int] = (200, 40, 40), side: int = 64) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), colour).save(path)
    return path


def write_run(workspace: Path, name: str = "mika", epochs: int = 3, *, seed: int = 0, **config: Any) -> Path:
    """A run as training leaves it: LoRA files, test pictures of one colour each, and a verdict."""
    folder = workspace / name
    prompts = [{"prompt": text, "seed": None, "reference": []} for text in PROMPTS]
    tree = {
        "likeness": "0.1.0",
        "name": name,
        "config": {
            "name": name, "kind": "character", "base": "starter", "trigger": TRIGGER, "description": "",
            "data": {"datasets": [{"path": "/home/ada/photos/mika", "repeats": 5}], "resolution": 128},
            "optim": {"learning_rate": 0.001},
            "sampling": {"prompts": prompts, "seed": 42, "steps": 16, "guidance": 2.5},
            **config,
        },
        "sources": {"data.datasets.0.path": "mika.yaml:3", "optim.learning_rate": "--set"},
        "plan": {"images": 12, "epochs": epochs, "steps_per_epoch": 10, "steps": 10 * epochs},
        "base": {"name": "starter", "location": "/opt/likeness/starter", "family": "flux2", "resolution": 128},
        "parent": None,
        "digest": "d" * 64,
    }  # fmt: skip
    folder.mkdir(parents=True)
    durable.write_text(folder / "run.json", json.dumps(tree))
    log = EventLog(folder / "events.jsonl")
    log.write(RunStarted(name=name, steps=10 * epochs, epochs=epochs, images=12, device="cpu", precision="fp32"))
    for epoch in range(1, epochs + 1):
        path = write_lora(folder / f"checkpoints/epoch-{epoch:03d}.safetensors", seed * 100 + epoch)
        log.write(CheckpointSaved(epoch=epoch, step=10 * epoch, path=str(path.relative_to(folder))))
        for number, prompt in enumerate(PROMPTS, start=1):
            place = folder / f"samples/epoch-{epoch:03d}/prompt-{number}-seed-42.png"
            write_picture(place, (20 * epoch, 60 * number, 40 + seed))
            log.write(SampleSaved(epoch=epoch, step=10 * epoch, prompt_index=number, prompt=prompt, seed=42,
                                  path=str(place.relative_to(folder))))  # fmt: skip
    rows: list[dict[str, Any]] = [
        {"epoch": e, "held_out_loss": 0.5 + 0.01 * e, "likeness": [round(0.7 + 0.05 * e, 2), 0.02]}
        for e in range(epochs + 1)
    ]
    log.write(VerdictGiven(
        epoch=epochs, verdict="sweet spot", sentence="Sweet spot: epochs 2–3, suggested 2.", suggested=2,
        sweet_spot=[2, 3], overfit_from=None, flags=[], reasons=[], advice=[], rows=rows,
    ))  # fmt: skip
    log.write(RunFinished(step=10 * epochs, seconds=60))
    return folder
