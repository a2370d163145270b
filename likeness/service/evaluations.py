"""How strong to use a LoRA: the same prompts at several strengths and seeds, drawn, measured, and laid out."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likeness import durable
from likeness.config.sampling import PromptConfig
from likeness.dataset.captions import has_trigger
from likeness.dataset.prompts import control_of
from likeness.errors import InputError
from likeness.report.comparison import Comparison, Row, Table, save_picture, write_page
from likeness.service.measuring import encoder_problem
from likeness.service.pictures import Album, Shot, as_job, check_seeds
from likeness.service.workers import Order

FOLDER = "evaluations"  # in the run
MOST_PICTURES = 5000
# Measure, heading, what it says.
COLUMNS = (
    ("likeness", "likeness", "how like the training pictures those with the trigger are, 0 to 1"),
    ("followed", "followed", "how far edits go the way of the training pairs, -1 to 1"),
    ("preserved", "preserved", "how much edits leave alone of what should stay, 0 to 1"),
    ("prompt", "prompt", "how much better or worse prompts are followed than by the base"),
    ("diversity", "diversity", "how different the pictures are from each other; the base's are 1"),
    ("drift", "drift", "how far pictures without the trigger moved from the base's, 0 to 1"),
    ("leak", "leak", "how far pictures without the trigger became like the training pictures"),
    ("copied", "copied", "share of pictures that repeat a training picture"),
)


@dataclass(frozen=True)
class Protocol:
    """What is drawn and measured. Without epochs, the recommended one; prompts as in `comparisons.View`."""

    strengths: tuple[float, ...]
    seeds: int
    epochs: tuple[int, ...] = ()
    prompts: tuple[str, ...] = ()
    encoder: str | None = None  # other than the run's


@dataclass(frozen=True)
class Laid:
    """A protocol with every picture settled. `trials` are (epoch, strength), the base (0, 0) being the first."""

    album: Album
    protocol: Protocol
    prompts: list[PromptConfig]
    trials: list[tuple[int, float]]
    paths: dict[tuple[int, float], list[list[Path]]]  # by trial, prompt and turn
    notes: list[str]

    def shot(self, trial: tuple[int, float], prompt: int, turn: int) -> Shot:
        seed = self.album.seeds(self.prompts[prompt], self.protocol.seeds)[turn]
        return Shot(self.prompts[prompt], seed, self.album.lora(*trial))

    @property
    def missing(self) -> list[tuple[Shot, Path]]:
        """The pictures that are yet to be drawn."""
        return [
            (self.shot(trial, p, turn), path)
            for trial, rows in self.paths.items()
            for p, row in enumerate(rows)
            for turn, path in enumerate(row)
            if not path.is_file()
        ]


def lay_out(album: Album, protocol: Protocol) -> Laid:
    """Raises InputError for what cannot be drawn or measured."""
    check_seeds(protocol.seeds)
    strengths = sorted({s for s in protocol.strengths if s})
    if not strengths or strengths[0] < 0:
        raise InputError("--strengths: should be above 0. Fix: such as 0.6,0.8,1 (the base is drawn as well)")
    if protocol.encoder is not None and (problem := encoder_problem(protocol.encoder)):
        raise InputError(f"--encoder: {problem}")
    prompts, notes = _with_control(album, album.prompts(protocol.prompts))
    epochs = list(dict.fromkeys(protocol.epochs)) or [album.last_choice()]
    if 0 in epochs:
        raise InputError("--epochs: 0 is the base, which is drawn anyway. Fix: name epochs with a LoRA file")
    trials = [(0, 0.0), *((epoch, strength) for epoch in epochs for strength in strengths)]
    if (count := len(trials) * len(prompts) * protocol.seeds) > MOST_PICTURES:
        raise InputError(f"--seeds: {count} pictures are too many. Fix: fewer seeds, strengths, epochs or prompts")
    paths = {
        trial: [
            [album.path(Shot(prompt, seed, album.lora(*trial))) for seed in album.seeds(prompt, protocol.seeds)]
            for prompt in prompts
        ]
        for trial in trials
    }
    return Laid(album, protocol, prompts, trials, paths, notes)


def order(laid: Laid, device: str = "auto") -> Order:
    """To draw what is missing and measure all."""
    pictures = {trial: _pictures(laid, trial) for trial in laid.trials}
    job = as_job(laid.album.history.folder, laid.missing, device) | {
        "encoder": laid.protocol.encoder,
        "base": pictures[laid.trials[0]],
        "trials": [{"epoch": t[0], "strength": t[1], "pictures": pictures[t]} for t in laid.trials[1:]],
    }
    return Order("evaluate", job)


def write(result: dict[str, Any], laid: Laid) -> dict[str, Any]:
    """Write the worker's result, with a page and a grid of each epoch, into the run; returns what was found."""
    folder = laid.album.history.folder / FOLDER
    for found in result["epochs"]:
        name = f"epoch-{found['epoch']:03d}"
        found |= {"page": str(folder / f"{name}.html"), "grid": str(folder / f"{name}.png")}
        told = {"run": laid.album.history.name, "encoder": result["encoder"], "seeds": laid.protocol.seeds,
                "prompts": [p.prompt for p in laid.prompts], **found}  # fmt: skip
        durable.write_text(folder / f"{name}.json", json.dumps(told, indent=2))
        shown = as_comparison(laid, found, result["encoder"])
        write_page(shown, Path(found["page"]))
        save_picture(_first_turns(shown, laid.protocol.seeds), Path(found["grid"]))
    return result | {"prompts": [p.prompt for p in laid.prompts], "seeds": laid.protocol.seeds, "notes": laid.notes}


def table_of(found: dict[str, Any], encoder: str, seeds: int) -> Table:
    """The measures of one epoch's strengths, as text; only columns that were measured."""
    strengths: list[dict[str, Any]] = found["strengths"]
    shown = [c for c in COLUMNS if any(c[0] in s["measures"] for s in strengths)]
    rows = [
        [f"{s['strength']:g}" if s["strength"] else "base", *(_cell(s, name) for name, _, _ in shown)]
        for s in strengths
    ]
    marked = next((i for i, s in enumerate(strengths) if s["strength"] == found["suggested"]), None)
    told = f"± is half the 95 % interval over {seeds} seeds" if seeds > 1 else "One seed: no interval can be told"
    notes = [f"{told}. Compared by {encoder or 'pixels alone'}.",
             "; ".join(f"{heading}: {words}" for _, heading, words in shown) + "."]  # fmt: skip
    return Table(["strength", *(heading for _, heading, _ in shown)], rows, marked, notes)


def as_comparison(laid: Laid, found: dict[str, Any], encoder: str) -> Comparison:
    """The base and one epoch's strengths, by prompts and seeds."""
    history, config = laid.album.history, laid.album.config
    trials = [t for t in laid.trials if t[0] in (0, found["epoch"])]
    places = [(p, turn) for p in range(len(laid.prompts)) for turn in range(laid.protocol.seeds)]
    rows: list[Row] = []
    for p, turn in places:
        prompt = laid.prompts[p]
        source = Path(prompt.reference[-1]) if prompt.reference else None
        rows.append(Row(prompt.prompt, laid.album.seeds(prompt, laid.protocol.seeds)[turn], source))
    pictures = {
        (c, r): path
        for c, trial in enumerate(trials)
        for r, (p, turn) in enumerate(places)
        if (path := laid.paths[trial][p][turn]).is_file()
    }
    return Comparison(
        title=f"{history.name}: strengths of epoch {found['epoch']}",
        facts=[config.kind, f"base {config.base}", f"{laid.protocol.seeds} seeds"],
        columns=["base" if not strength else f"{strength:g}" for _, strength in trials],
        rows=rows,
        pictures=pictures,
        trigger=config.trigger,
        verdict=found["sentence"],
        reasons=found["reasons"],
        table=table_of(found, encoder, laid.protocol.seeds),
    )


def _first_turns(shown: Comparison, seeds: int) -> Comparison:
    """The first seed of each prompt, for the grid."""
    rows = list(range(0, len(shown.rows), seeds))
    pictures = {(c, rows.index(r)): path for (c, r), path in shown.pictures.items() if r in rows}
    return Comparison(shown.title, [*shown.facts[:-1], f"the first of {seeds} seeds"], shown.columns,
                      [shown.rows[r] for r in rows], pictures, shown.trigger)  # fmt: skip


def _with_control(album: Album, prompts: list[PromptConfig]) -> tuple[list[PromptConfig], list[str]]:
    """With a prompt without the trigger, by which drift is seen; one is made where there is none."""
    config = album.config
    if not config.trigger or config.kind == "edit":
        return prompts, []
    called = [p for p in prompts if has_trigger(p.prompt, config.trigger)]
    if not called:
        raise InputError(f"--prompt: none has the trigger '{config.trigger}'. Fix: write it into at least one")
    if len(called) < len(prompts):
        return prompts, []
    control = PromptConfig(prompt=control_of(called[0].prompt, config.trigger, config.kind))
    return [*prompts, control], [f"no prompt was without the trigger, so a control was added: '{control.prompt}'"]


def _pictures(laid: Laid, trial: tuple[int, float]) -> list[dict[str, Any]]:
    return [
        {
            "key": f"prompt-{p + 1}-turn-{turn}",
            "prompt": laid.prompts[p].prompt,
            "path": str(path),
            "references": laid.prompts[p].reference,
            "turn": turn,
        }
        for p, row in enumerate(laid.paths[trial])
        for turn, path in enumerate(row)
    ]


def _cell(strength: dict[str, Any], name: str) -> str:
    mean, half = strength["measures"].get(name, (None, None))
    if mean is None:
        return "–"
    return f"{mean:.2f}" + (f" ±{half:.2f}" if half is not None else "")
