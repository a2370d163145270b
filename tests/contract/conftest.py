"""Every Card's tiny base, and one short run on each, made once for the whole session."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from likeness.catalog import CARDS, Card, resolve_base
from likeness.service import runs
from likeness.worker import training

SETTINGS = """\
name: {name}
kind: {kind}
base: {base}
trigger: tiny_char
data: {{datasets: [{{path: {data}, repeats: 1}}], hold_out: 0, captions: {{dropout: 0.0}}}}
train: {{epochs: 1, batch_size: 2, probes: 2, seed: {seed}}}
optim: {{learning_rate: 0.02}}
lora: {{rank: 2, alpha: 2, training_adapter: "off"}}
sampling: {{prompts: [{prompt}], steps: 2}}
hardware: {{device: cpu, precision: fp32, threads: 1{hardware}}}
"""
SEED = 3


@dataclass(frozen=True)
class Case:
    """One thing to be trained: a Card, on pictures or on edits."""

    card: Card
    kind: str

    @property
    def name(self) -> str:
        return f"{self.card.name}-{self.kind}"


CASES = [Case(card, kind) for card in CARDS.values() for kind in ("character", *(["edit"] if card.edits else []))]
MakeBase = Callable[[Card], Path]
MakeRun = Callable[..., Path]


def bases_of(card: Card) -> Any:
    """The test module that makes the family's tiny bases."""
    return importlib.import_module(f"tests.contract.bases.{card.family}")


@pytest.fixture(scope="session")
def contract_base(tmp_path_factory: pytest.TempPathFactory) -> MakeBase:
    """A tiny random base of a Card's classes in the hub's own folder layout."""
    root = tmp_path_factory.mktemp("bases")

    @cache
    def make(card: Card) -> Path:
        folder = root / card.name
        bases_of(card).make(card, folder)
        return folder

    return make


@pytest.fixture(scope="session")
def contract_run(contract_base: MakeBase, tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    """A finished run of three steps: two sizes, batches of two, one epoch, one test picture before and after."""
    root = tmp_path_factory.mktemp("contract")

    @cache
    def make(case: Case, name: str = "", hardware: str = "") -> Path:
        base = contract_base(case.card)
        side = resolve_base(str(base)).resolution
        data = root / f"data-{side}-{case.kind}"
        if not data.exists():
            write_data(data, side, case.kind)
        source = data / "before" / "0.png" if case.kind == "edit" else None
        prompt = f"{{prompt: tiny_char at sea, reference: {source}}}" if source else "tiny_char at sea"
        config = root / f"{case.name}{name}.yaml"
        config.write_text(
            SETTINGS.format(
                name=f"{case.name}{name}", kind=case.kind, base=base, data=data, seed=SEED, prompt=prompt,
                hardware=f", {hardware}" if hardware else "",
            )
        )  # fmt: skip
        folder = runs.start(runs.prepare(config), root / "runs")
        assert training.run(folder) == 0, (folder / "events.jsonl").read_text()[-2000:]
        return folder

    return make


def write_data(folder: Path, side: int, kind: str) -> None:
    """Five pictures in two shapes: batches of two, of one, and of two with captions of unlike length."""
    for part in ("before", "after") if kind == "edit" else ("",):
        (folder / part).mkdir(parents=True)
        for number in range(5):
            size = (side, side) if number < 3 else (side * 2, side // 2)
            noise = Image.effect_noise(size, 60 + 20 * number + len(part)).convert("RGB")
            noise.save(folder / part / f"{number}.png")
            if part != "before":
                words = "tiny_char" + " and a much longer caption than before" * (number % 2)
                (folder / part / f"{number}.txt").write_text(words)
