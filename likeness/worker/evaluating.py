"""The job 'evaluate': draw what is missing of the pictures at several strengths, measure them, suggest a strength."""

import json
from pathlib import Path
from typing import Any

import torch

from likeness import durable
from likeness.errors import Interrupted
from likeness.events import EventLog, Stage
from likeness.judge.evaluation import Evaluation, Shown
from likeness.judge.features import open_encoder
from likeness.judge.scorecard import Drawn
from likeness.judge.strength import Tried, interval, suggest
from likeness.worker.drawing import draw_missing, wanted_in
from likeness.worker.signals import StopRequest
from likeness.worker.training import read_job


def run(folder: Path) -> int:
    """`job.json`: as for 'draw', with encoder (or null), base [picture] and trials [{epoch, strength, pictures}], where
    a picture is {key, prompt, path, references, turn}."""
    asked: dict[str, Any] = json.loads((folder / "job.json").read_text())
    log = EventLog(folder / "events.jsonl")
    stop = StopRequest()
    job = read_job(Path(asked["run"]))
    if job.config.hardware.threads:
        torch.set_num_threads(job.config.hardware.threads)
    # Told before anything is drawn.
    encoder = open_encoder(asked["encoder"] or job.config.scorecard.encoder, job.card.name, job.config.model.offline)
    draw_missing(job, wanted_in(asked), str(asked["device"]), log, stop)
    base = _shown(asked["base"])
    evaluation = Evaluation(job.config, list(job.examples), encoder, base)
    tried: dict[int, list[Tried]] = {}
    total = len(asked["trials"]) + 1
    before = evaluation.measure(0.0, base)
    for done, trial in enumerate(asked["trials"], start=1):
        log.write(Stage(name="measuring", done=done, total=total))
        if stop():
            raise Interrupted("stopped as asked; the pictures are kept")
        epoch = int(trial["epoch"])
        measured = evaluation.measure(float(trial["strength"]), _shown(trial["pictures"]))
        tried.setdefault(epoch, [before]).append(measured)
    result = {
        "encoder": encoder.name if encoder else "",
        "epochs": [_told(epoch, strengths) for epoch, strengths in tried.items()],
    }
    durable.write_text(folder / "result.json", json.dumps(result, indent=2))
    return 0


def _shown(pictures: list[dict[str, Any]]) -> list[Shown]:
    return [
        Shown(Drawn(p["key"], p["prompt"], Path(p["path"]), tuple(p["references"])), int(p["turn"])) for p in pictures
    ]


def _told(epoch: int, tried: list[Tried]) -> dict[str, Any]:
    """Each measure as [mean, half its 95 % interval or null]."""
    suggestion = suggest(tried)
    return {
        "epoch": epoch,
        "suggested": suggestion.strength,
        "sentence": suggestion.sentence,
        "reasons": list(suggestion.reasons),
        "strengths": [
            {
                "strength": t.strength,
                "measures": {name: [t.mean(name), interval(values)] for name, values in t.values.items()},
            }
            for t in tried
        ],
    }
