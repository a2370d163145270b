"""Does the scorecard say what is true? Runs with a planted fault, and an independent judge of the recommended epoch.

    python -m benchmarks.scorecard_validation --seeds sealed
    python -m benchmarks.scorecard_validation --seeds tuning --conditions good,same-pose --count 1
    python -m benchmarks.scorecard_validation --table

Every run leaves its result under `build/scorecard`; started again, the command goes on with what is missing. The rule
may be changed by what the tuning seeds show, and never by what the sealed ones do. Those that have been looked at to
change it are tuning seeds from then on, and others are sealed.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.planted import CONDITIONS, Condition, make_dataset, write_settings
from benchmarks.runs import trained
from likeness import durable
from likeness.errors import LikenessError
from likeness.events import ProbesMeasured, read_events
from likeness.judge.recommend import EpochEvidence, compare, recommend, smoothed, wiggle
from likeness.judge.verdict import evidence_of

TUNING, SEALED = (*range(101, 105), *range(201, 205)), tuple(range(205, 213))
LOOKS = 4  # times the pictures that `benchmarks.learning` draws of an epoch: with those alone 5 % is within the noise
STEPS = 8  # of the pictures for the judge, half of the base's own: it sees the same in them, and many can be drawn
CLOSE = 0.05  # of the best epoch's quality: the recommended epoch may fall short by so much
LEAST_QUALITY = 0.1  # of the best epoch: below it nothing was learned
RIVALS = ("last", "middle", "lowest training loss")


@dataclass(frozen=True)
class Result:
    """What a planted run showed. `qualities`: of the judge, by epoch; empty where it does not know the subject."""

    condition: str
    seed: int
    kind: str
    flags: list[str]
    sentence: str
    suggested: int | None
    agrees: bool | None  # None where nothing was expected
    swapped_overfits: bool | None  # with training pictures for held-out ones; None where the run does not overfit
    qualities: dict[str, float]
    rivals: dict[str, int]


def agrees(condition: Condition, kind: str, flags: Sequence[str]) -> bool | None:
    if condition.kinds:
        return kind in condition.kinds
    if condition.flags:
        return bool({*condition.flags} & {*flags})
    return not {*condition.silent} & {*flags} if condition.silent else None


def swapped(evidence: Sequence[EpochEvidence], probes: Mapping[int, ProbesMeasured]) -> list[EpochEvidence]:
    """The evidence as it would be with training pictures in place of the held-out ones: the negative control."""
    held = {name for e in evidence for name in e.held_out}
    return [
        EpochEvidence(
            e.epoch,
            {name: [mean] for name, mean in probes[e.epoch].per_image if name not in held},
            e.train_loss,
            e.pictures,
            e.whole,
        )
        for e in evidence
        if e.epoch in probes
    ]


def quality(traits: float, obeyed: float, leak: float, base_leak: float) -> float:
    """What the judge sees: the traits where the rest of the prompt is kept too, less what leaks into controls."""
    return max(0.0, traits * obeyed - max(0.0, leak - base_leak))


# --- one run


def name_of(condition: Condition, seed: int) -> str:
    return f"{condition.name.replace(' ', '-')}-{seed}"


def train(condition: Condition, seed: int, place: Path, threads: int) -> Path:
    """The folder of the finished run; goes on with one that was interrupted. Raises RuntimeError."""
    name = name_of(condition, seed)
    data = place / "data" / f"{condition.data.replace(' ', '-')}-{seed}"
    if not data.is_dir():
        make_dataset(data, condition.data, seed)
    settings = place / "settings" / f"{name}.yaml"
    write_settings(settings, condition, seed, data.resolve(), name, threads)
    return trained(settings, place / "runs" / name)


def judged(run: Path, place: Path, threads: int, fast: bool = False) -> dict[str, float]:
    """Quality by epoch, in the eyes of a network that the scorecard knows nothing of. `fast`: with compiled blocks."""
    from benchmarks.learning import finished_epochs, measure
    from benchmarks.school import ready_judge
    from likeness.families import memory, open_family
    from likeness.families.placement import choose_placement, set_up_torch
    from likeness.worker.training import read_job

    job = read_job(run)
    sampling = job.config.sampling.model_copy(update={"steps": STEPS})
    job = replace(job, config=job.config.model_copy(update={"sampling": sampling}))
    placement = choose_placement(job.config.hardware)
    set_up_torch(placement, threads)
    judge = ready_judge(place.parent / "judge")
    family = open_family(job.card, placement)
    # Drawing asks of the blocks what training does.
    memory.prepare_training(next(iter(family.networks.values())), family.blocks, "none", compiled=fast)
    untrained = place / "judged" / "untrained.json"  # the same whatever was learned
    if not untrained.is_file():
        (base,) = measure(family, job, judge, [0], times=LOOKS)
        durable.write_text(untrained, json.dumps({"leak": base.controls.together.mean}))
    leak = json.loads(untrained.read_text())["leak"]
    epochs = [epoch for epoch in finished_epochs(run) if epoch]
    return {
        str(r.epoch): quality(
            r.learned.together.mean, r.learned.obeyed.mean if r.learned.obeyed else 1.0, r.controls.together.mean, leak
        )
        for r in measure(family, job, judge, epochs, times=LOOKS)
    }


def examine(condition: Condition, seed: int, run: Path, qualities: dict[str, float]) -> Result:
    """What the run's events say; the verdict is made anew by the rule as it is now."""
    events = list(read_events(run / "events.jsonl"))
    manifest = [json.loads(line) for line in (run / "manifest.jsonl").read_text().splitlines()]
    evidence = evidence_of(events, frozenset(row["id"] for row in manifest if row["held_out"]))
    told = recommend(evidence, kind=json.loads((run / "run.json").read_text())["config"]["kind"])
    probes = {e.epoch: e for e in events if isinstance(e, ProbesMeasured)}
    trained = sorted(epoch for epoch in probes if epoch)
    control = recommend(swapped(evidence, probes)).overfit_from is not None if told.overfit_from else None
    rivals = {
        "last": trained[-1],
        "middle": trained[len(trained) // 2],
        "lowest training loss": min(trained, key=lambda e: probes[e].train_loss),
    }
    return Result(
        condition.name,
        seed,
        told.kind,
        list(told.flags),
        told.sentence,
        told.suggested,
        agrees(condition, told.kind, told.flags),
        control,
        qualities,
        rivals,
    )


# --- the table


def shortfall(result: Result, epoch: int | None) -> float | None:
    """By how much an epoch's quality falls short of the best epoch's, as a share; None where it was not judged, or
    nothing was learned at any epoch."""
    best = max(result.qualities.values(), default=0.0)
    if epoch is None or best < LEAST_QUALITY or str(epoch) not in result.qualities:
        return None
    return 1 - result.qualities[str(epoch)] / best


def ceiling(results: Sequence[Result], draws: int = 2000) -> float | None:
    """In what share of the runs an oracle would be near the best epoch: what the judge sees is noisy, and the best of
    many noisy epochs is too good. It knows the true course, taken to be the mean of each epoch and its neighbours; the
    noise is how far qualities jump around it. None where no run was judged."""
    rng, shares = np.random.default_rng(0), list[float]()
    for r in results:
        seen = np.array([r.qualities[key] for key in sorted(r.qualities, key=int)])
        if len(seen) and seen.max() >= LEAST_QUALITY:
            true = smoothed(seen)
            drawn = true + wiggle(seen) * rng.standard_normal((draws, len(seen)))
            shares.append(float((drawn[:, true.argmax()] >= (1 - CLOSE) * drawn.max(axis=1)).mean()))
    return float(np.mean(shares)) if shares else None


def table(results: Sequence[Result], pairs: Mapping[int, str]) -> str:
    """Markdown: every run, then the figures that were promised."""
    lines = ["| run | verdict | flags | agrees | suggested | its shortfall | last | middle | lowest training loss |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for r in results:
        cells = [f"{r.condition} {r.seed}", r.sentence, ", ".join(r.flags) or "–", _word(r.agrees), str(r.suggested)]
        cells += [_share(shortfall(r, r.suggested)), *(_share(shortfall(r, r.rivals[name])) for name in RIVALS)]
        lines.append(f"| {' | '.join(cells)} |")
    expected = [r.agrees for r in results if r.agrees is not None]
    near = [s <= CLOSE for r in results if (s := shortfall(r, r.suggested)) is not None]
    lines += ["", f"Verdict agrees with the planted condition: {_rate(expected)}; wanted 85 %."]
    lines += [f"Suggested epoch within {CLOSE:.0%} of the best: {_rate(near)}; wanted 80 %."]
    if (oracle := ceiling(results)) is not None:
        lines += [f"- an oracle, since the judge is noisy: {oracle:.0%}"]
    for name in RIVALS:
        own = [s <= CLOSE for r in results if r.suggested and (s := shortfall(r, r.rivals[name])) is not None]
        lines.append(f"- {name} epoch: {_rate(own)}")
    lines += [f"Two runs that differ in the seed alone read 'cannot tell': "
              f"{_rate([p == 'cannot tell' for p in pairs.values()])}; wanted 90 %."]  # fmt: skip
    lost = [not r.swapped_overfits for r in results if r.swapped_overfits is not None]
    lines += [f"With training pictures held out the overfit signal is lost: {_rate(lost)}; wanted all."]
    return "\n".join(lines)


def _word(flag: bool | None) -> str:
    return "–" if flag is None else "yes" if flag else "**no**"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _rate(flags: Sequence[bool]) -> str:
    return f"{sum(flags)} of {len(flags)} ({sum(flags) / len(flags):.0%})" if flags else "no run yet"


def pairs_of(place: Path, seeds: Sequence[int]) -> dict[int, str]:
    """For every seed with both runs, which of the two is said to be better."""
    found: dict[int, str] = {}
    by_name = {c.name: c for c in CONDITIONS}
    for seed in seeds:
        runs = [place / "runs" / name_of(by_name[name], seed) for name in ("good", "good again")]
        if all((run / "report.html").is_file() for run in runs):
            found[seed] = compare(*(_evidence(run) for run in runs))[0]
    return found


def _evidence(run: Path) -> list[EpochEvidence]:
    rows = [json.loads(line) for line in (run / "manifest.jsonl").read_text().splitlines()]
    held_out = frozenset(row["id"] for row in rows if row["held_out"])
    return evidence_of(read_events(run / "events.jsonl"), held_out)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scorecard_validation", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--seeds", choices=("tuning", "sealed"), default="tuning")
    parser.add_argument("--count", type=int, help="how many of the seeds (default: 4)", default=4)
    parser.add_argument("--conditions", default="", help="such as good,same-pose; all if left out")
    parser.add_argument("--place", type=Path, default=Path("build/scorecard"), help="where runs are kept (%(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="compile the blocks that draw; needs a C++ compiler")
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    return parser.parse_args(arguments)


def chosen(names: str) -> list[Condition]:
    wanted = [name.strip().replace("-", " ") for name in names.split(",") if name.strip()]
    known = {c.name: c for c in CONDITIONS}
    if missing := [name for name in wanted if name not in known]:
        raise SystemExit(f"--conditions: {missing[0]} is none of {', '.join(known)}")
    return [known[name] for name in wanted] or list(CONDITIONS)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    seeds = (TUNING if options.seeds == "tuning" else SEALED)[: options.count]
    results: list[Result] = []
    for seed in seeds:
        for condition in chosen(options.conditions):
            kept = options.place / "judged" / f"{name_of(condition, seed)}.json"
            run = options.place / "runs" / name_of(condition, seed)
            if not options.table and not kept.is_file():
                try:
                    run = train(condition, seed, options.place, options.threads)
                    found = judged(run, options.place, options.threads, options.compile) if condition.judged else {}
                except (RuntimeError, LikenessError) as e:
                    print(f"{name_of(condition, seed)}: {e}", file=sys.stderr, flush=True)
                    continue
                durable.write_text(kept, json.dumps(found))
            if kept.is_file():
                results.append(examine(condition, seed, run, json.loads(kept.read_text())))
                if not options.table:
                    print(f"{condition.name} {seed}: {results[-1].sentence} {results[-1].flags}", flush=True)
    told = table(results, pairs_of(options.place, seeds))
    print(told)
    summary: dict[str, Any] = {"seeds": options.seeds, "results": [asdict(r) for r in results]}
    durable.write_text(options.place / f"{options.seeds}.json", json.dumps(summary, indent=2))
    durable.write_text(options.place / f"{options.seeds}.md", told + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
