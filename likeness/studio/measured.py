"""What earlier runs of the workspace needed: the best guess at what the next one will."""

import json
import statistics
from functools import lru_cache
from pathlib import Path
from typing import Any

from likeness.catalog import resolve_base
from likeness.config.load import config_from_dict
from likeness.config.run import RunConfig
from likeness.errors import InputError
from likeness.report.history import mapping
from likeness.service.costs import Measured
from likeness.studio.run_log import RunLog
from likeness.studio.workspace import Studio

MOST_RUNS = 40  # the newest; older ones say nothing more
FEWEST_STEPS = 5  # before a speed means anything


def measured_runs(studio: Studio) -> list[Measured]:
    """Of each run that has trained for a while, newest first."""
    folders: list[tuple[float, Path]] = []
    for log in studio.workspace.glob("*/events.jsonl"):
        try:
            folders.append((log.stat().st_mtime, log.parent))
        except OSError:
            continue
    found: list[Measured] = []
    for _, folder in sorted(folders, reverse=True)[:MOST_RUNS]:
        try:
            log = (folder / "events.jsonl").stat()
        except OSError:
            continue
        if measured := _measured(folder, log.st_size, log.st_mtime_ns):
            found.append(measured)
    return found


@lru_cache(maxsize=512)
def _measured(folder: Path, size: int, changed: int) -> Measured | None:
    """None for what is no run, a mock, or too short. `size` and `changed` say which content the log has."""
    try:
        frozen: Any = json.loads((folder / "run.json").read_text())
        config = config_from_dict(mapping(mapping(frozen).get("config")))
    except (OSError, ValueError, InputError):
        return None
    log = RunLog(folder / "events.jsonl")
    log.update()
    speed, started = log.images_per_second, log.started
    if frozen.get("mock") or started is None or speed is None or len(log.speeds) < FEWEST_STEPS:
        return None
    base = mapping(frozen.get("base"))
    return Measured(
        run=folder.name,
        base=str(base.get("location", "")),
        device=started.device,
        kind=config.kind,
        side=max(config.data.sides(int(base.get("resolution") or _resolution(config)))),
        batch=config.train.batch_size,
        rank=config.lora.rank,
        optimizer=config.optim.optimizer,
        precision=started.precision,
        quantize=config.hardware.quantize,
        checkpointing=config.hardware.checkpointing,
        offload=config.hardware.offload,
        preserves=config.preserve.weight > 0,
        images_per_second=speed,
        memory_bytes=log.memory_bytes,
        pictures_seconds=_pictures_seconds(config, log),
        start_seconds=None if log.began is None or log.started_steps is None else max(0, started.time - log.began),
    )


def _resolution(config: RunConfig) -> int:
    return resolve_base(config.base, choice=config.model.choice()).resolution


def _pictures_seconds(config: RunConfig, log: RunLog) -> float | None:
    """The pauses between epochs, shared among the pictures that were drawn in them."""
    count = len(config.sampling.prompts) * (config.scorecard.seeds if config.scorecard.enabled else 1)
    step = config.train.batch_size * config.train.gradient_accumulation / statistics.median(log.speeds)
    if not count or not log.pauses or not config.train.sample_every:
        return None
    return max(0.0, statistics.median(log.pauses) - step) / count
