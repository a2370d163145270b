"""Pictures of a run beyond its test pictures: which there are already, and where the others will be.

A picture's name is a digest of all that decides it, so nothing is drawn twice, whatever asks for it.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from likeness.config.load import config_from_dict
from likeness.config.run import RunConfig
from likeness.config.sampling import SEED_LIMIT, PromptConfig
from likeness.errors import InputError
from likeness.report.history import History, mapping, read_history
from likeness.service.numbers import parse_numbers
from likeness.service.samples import LoraUse

FOLDER = "pictures"  # in the run
MOST_SEEDS = 64
_CHECKPOINT = re.compile(r"epoch-(\d+)\.safetensors")


@dataclass(frozen=True)
class Shot:
    """One picture: a test prompt with a seed, and LoRAs at their strengths; none for the base alone."""

    prompt: PromptConfig
    seed: int
    loras: tuple[LoraUse, ...] = ()


@dataclass
class Album:
    """The pictures of one run."""

    history: History
    config: RunConfig
    _digests: dict[Path, str] = field(default_factory=dict[Path, str])

    def path(self, shot: Shot) -> Path:
        """Where the picture is, or will be. Raises InputError where it is yet to be drawn and a LoRA file is gone."""
        return self._drawn_by_the_run(shot) or self.history.folder.resolve() / FOLDER / f"{self._key(shot)}.png"

    def lora(self, epoch: int, strength: float = 1.0) -> tuple[LoraUse, ...]:
        """An epoch as a LoRA; none for the base, epoch 0. Raises InputError for an epoch without a file or pictures."""
        if epoch == 0 or strength == 0:
            return ()
        if epoch not in self.history.checkpoints and epoch not in self.history.epochs:
            raise self._no_file(epoch)
        return (LoraUse(self._checkpoint(epoch), strength),)

    def prompts(self, asked: Sequence[str]) -> list[PromptConfig]:
        """Test prompts by their numbers, such as '1,3', or new ones as text; all of the run's where none is asked for.

        Raises InputError for a number that the run lacks, and where there is no prompt at all.
        """
        own = self.config.sampling.prompts
        found: list[PromptConfig] = []
        for text in asked:
            if not set(text) <= set("0123456789,- "):
                found.append(PromptConfig(prompt=text))
                continue
            for number in parse_numbers("--prompt", text):
                if not 1 <= number <= len(own):
                    raise InputError(f"--prompt: the run has no test prompt {number}. Fix: from 1 to {len(own)}")
                found.append(own[number - 1])
        if not (found or own):
            raise InputError(f"{self.history.folder}: this run has no test prompts. Fix: name some with --prompt")
        if self.config.kind == "edit" and any(not p.reference for p in found):
            raise InputError("--prompt: an edit needs its source picture. Fix: choose test prompts by their numbers")
        return found or list(own)

    def seeds(self, prompt: PromptConfig, count: int) -> list[int]:
        """The prompt's own, then those after it."""
        first = self.config.sampling.seed if prompt.seed is None else prompt.seed
        return [(first + k) % (SEED_LIMIT + 1) for k in range(count)]

    def last_choice(self) -> int:
        """The epoch to take where none is named: the recommended one, else the last that has a file.

        Raises InputError where there is none.
        """
        there = self.history.checkpoints
        if not there:
            raise InputError(f"{self.history.folder}: this run has no LoRA files. Fix: train it for an epoch first")
        verdict = self.history.verdict
        suggested = verdict.suggested if verdict else None
        return suggested if suggested in there else max(there)

    def _drawn_by_the_run(self, shot: Shot) -> Path | None:
        """A test picture, or one drawn for the scorecard."""
        prompts = self.config.sampling.prompts
        if shot.prompt not in prompts or len(shot.loras) > 1:
            return None
        epoch = 0
        for use in shot.loras:
            match = _CHECKPOINT.fullmatch(use.path.name)
            if use.strength != 1 or match is None or use.path != self._checkpoint(int(match[1])):
                return None
            epoch = int(match[1])
        name = f"epoch-{epoch:03d}/prompt-{prompts.index(shot.prompt) + 1}-seed-{shot.seed}.png"
        places = (self.history.folder.resolve() / folder / name for folder in ("samples", "scorecard"))
        return next((path for path in places if path.is_file()), None)

    def _checkpoint(self, epoch: int) -> Path:
        return self.history.folder.resolve() / "checkpoints" / f"epoch-{epoch:03d}.safetensors"

    def _no_file(self, epoch: int) -> InputError:
        there = ", ".join(map(str, self.history.checkpoints)) or "none"
        return InputError(
            f"{self.history.folder}: epoch {epoch} has no LoRA file. Fix: choose from {there} (0 is the base)"
        )

    def _key(self, shot: Shot) -> str:
        sampling, hardware = self.config.sampling, self.config.hardware
        base = mapping(self.history.run_json.get("base"))
        decides: dict[str, Any] = {
            "base": [base.get("location"), base.get("commits")],
            "prompt": shot.prompt.model_dump(exclude={"reference", "seed"}),
            "references": [self._digest(Path(path)) for path in shot.prompt.reference],
            "sampling": sampling.model_dump(exclude={"prompts", "max_prompts", "seed"}),
            "seed": shot.seed,
            "loras": [[self._digest(use.path), use.strength] for use in shot.loras],
            "hardware": [hardware.precision, hardware.quantize],
        }
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:24]

    def _digest(self, path: Path) -> str:
        if path not in self._digests:
            if not path.is_file():
                raise InputError(
                    f"{path}: is not there any more, and the picture is yet to be drawn. Fix: leave it out"
                )
            with path.open("rb") as f:
                self._digests[path] = hashlib.file_digest(f, "sha256").hexdigest()
        return self._digests[path]


def open_album(run: Path) -> Album:
    """Raises InputError where `run` is not a run, or its settings cannot be read."""
    history = read_history(run)
    return Album(history, config_from_dict(mapping(history.run_json.get("config"))))


def as_job(run: Path, shots: Iterable[tuple[Shot, Path]], device: str) -> dict[str, Any]:
    """What the worker's job 'draw' reads."""
    return {
        "run": str(run.resolve()),
        "device": device,
        "shots": [
            {
                "prompt": shot.prompt.model_dump(mode="json"),
                "seed": shot.seed,
                "loras": [{"path": str(use.path), "strength": use.strength} for use in shot.loras],
                "output": str(path),
            }
            for shot, path in shots
        ],
    }


def check_seeds(count: int) -> None:
    """Raises InputError for too few or too many."""
    if not 1 <= count <= MOST_SEEDS:
        raise InputError(f"--seeds: {count} should be between 1 and {MOST_SEEDS}. Fix: such as --seeds 3")


def parse_strengths(text: str) -> list[float]:
    """'0.5,0.75,1' as numbers. Raises InputError for what is none, or lies outside of -4 to 4."""
    found: list[float] = []
    for part in text.split(","):
        try:
            strength = float(part)
        except ValueError as e:
            raise InputError(f"--strengths: '{part.strip()}' is no number. Fix: write them as 0.5,0.75,1") from e
        if not -4 <= strength <= 4:
            raise InputError(f"--strengths: {part.strip()} is out of range. Fix: 0.5 to 1 are usual, -4 to 4 allowed")
        found.append(strength)
    return list(dict.fromkeys(found))
