"""The verdict on a run, from what its events tell."""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from likeness.config.run import RunConfig
from likeness.events import EpochMeasured, Event, ProbesMeasured, VerdictGiven
from likeness.judge.advice import advise
from likeness.judge.recommend import EpochEvidence, change_error, recommend

# In the order that tables show them: what speaks for an epoch, then what speaks against it.
SHOWN = (
    "likeness", "followed", "preserved", "prompt", "diversity", "leak", "drift", "closeness", "copied", "composition",
    "change",
)  # fmt: skip


def evidence_of(events: Iterable[Event], held_out: Set[str]) -> list[EpochEvidence]:
    """By epoch, the last that was told. `held_out` are the ids of the examples kept out of training.

    Pictures that another encoder measured than the latest one cannot be compared, so they are left out.
    """
    probes: dict[int, ProbesMeasured] = {}
    measured: dict[int, EpochMeasured] = {}
    encoder = ""
    for event in events:
        if isinstance(event, ProbesMeasured):
            probes[event.epoch] = event
        elif isinstance(event, EpochMeasured):
            measured[event.epoch] = event
            encoder = event.encoder
    found: list[EpochEvidence] = []
    for epoch in sorted({*probes, *measured}):
        losses, seen = probes.get(epoch), measured.get(epoch)
        same = seen if seen is not None and seen.encoder == encoder else None
        found.append(
            EpochEvidence(
                epoch,
                _held_out(losses, held_out) if losses else {},
                losses.train_loss if losses else None,
                same.pictures if same else {},
                same.whole if same else {},
            )
        )
    return found


def _held_out(probes: ProbesMeasured, held_out: Set[str]) -> Mapping[str, Sequence[float]]:
    """By picture its losses at the probes; where only their mean was told, as older versions did, that alone."""
    if probes.held_out_loss is None:
        return {}
    means = {name: [mean] for name, mean in probes.per_image if name in held_out}
    return dict(probes.per_probe) or means


def give_verdict(
    events: Sequence[Event], config: RunConfig, held_out: Set[str], images: int, available: Set[int] | None
) -> VerdictGiven:
    """The verdict on all epochs that were measured. `images` are those trained on; `available` are the epochs that
    have a file."""
    evidence = evidence_of(events, held_out)
    verdict = recommend(evidence, available, config.kind)
    return VerdictGiven(
        epoch=max((e.epoch for e in evidence), default=0),
        verdict=verdict.kind,
        sentence=verdict.sentence,
        suggested=verdict.suggested,
        sweet_spot=list(verdict.sweet_spot or ()),
        overfit_from=verdict.overfit_from,
        flags=list(verdict.flags),
        reasons=list(verdict.reasons),
        advice=advise(verdict, config, images),
        rows=rows_of(evidence),
    )


def rows_of(evidence: Sequence[EpochEvidence]) -> list[dict[str, Any]]:
    """By epoch: losses, and each measure of pictures as [mean, standard error of its change since the base]; null
    where that error is not known."""
    base = next((e for e in evidence if e.epoch == 0), None)
    rows: list[dict[str, Any]] = []
    for e in evidence:
        losses = [sum(v) / len(v) for v in e.held_out.values()]
        row: dict[str, Any] = {
            "epoch": e.epoch,
            "held_out_loss": sum(losses) / len(losses) if losses else None,
            "train_loss": e.train_loss,
        }
        for name in SHOWN:
            if values := e.pictures.get(name):
                before = base.pictures.get(name, {}) if base else {}
                both = sum(key in before for key in values) > 1
                error = round(change_error(before, values), 6) if both and e.epoch else None
                row[name] = [round(sum(values.values()) / len(values), 6), error]
            elif name in e.whole:
                row[name] = [round(e.whole[name], 6), None]
        rows.append(row)
    return rows
