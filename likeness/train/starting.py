"""What a run's LoRA is before the first step: its layers and sizes, the LoRA that it goes on from, and the training
adapter beside it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from likeness.catalog import Card
from likeness.catalog.source import hub_cache
from likeness.config.lora import LoraConfig
from likeness.errors import InputError
from likeness.families import Family, names_of
from likeness.lora.apply import add_changes, read_changes
from likeness.lora.change import Change
from likeness.lora.inject import TRAINED, activate, inject, load
from likeness.lora.kinds import FOLDED, Size, Type, scale
from likeness.lora.targets import Rule, Targets, choose_layers

TRAINING_ADAPTER = "training_adapter"
ADAPTER_SETTING = "lora.training_adapter"


@dataclass(frozen=True, eq=False)
class Start:
    """`digests`: SHA-256 of the files that take part, by setting; a run must go on with the same ones. `notes`: what
    is otherwise than one may expect."""

    kind: Type
    sizes: dict[str, Size]
    weights: dict[str, Tensor] | None  # of the LoRA that it goes on from
    adapter: dict[str, Change]  # of the training adapter; empty where there is none
    digests: dict[str, str]
    notes: tuple[str, ...] = ()


def find_start(settings: LoraConfig, family: Family, before: Mapping[str, str] | None = None) -> Start:
    """Check what is asked for against the base, and read the files. `before` are the digests of a run that goes on.

    Raises InputError, also where the run would go on with other files than it began with; changes nothing.
    """
    wanted = Targets(
        family.lora_targets(settings.targets),
        Size(settings.rank, settings.alpha),
        tuple(Rule(r.match, r.rank, r.alpha) for r in settings.modules),
        settings.exclude,
        settings.conv,
    )
    sizes = choose_layers(family.networks, wanted)
    digests: dict[str, str] = {}
    weights, adapter, notes = None, {}, ()
    known = names_of(family.card)
    if settings.start_from:
        path = Path(settings.start_from)
        changes = read_changes(family.networks, path, known)
        weights = _weights(changes, sizes, settings.type, path)
        digests["lora.start_from"] = _sha256(path)
    path, note = _training_adapter(settings.training_adapter, family.card, before)
    notes = (note,) if note else ()
    if path is not None:
        adapter = read_changes(family.networks, path, known)
        digests[ADAPTER_SETTING] = _sha256(path)
    if before is not None:
        _check_same_files(digests, before)
    return Start(settings.type, sizes, weights, adapter, digests, notes)


def put_in(start: Start, family: Family, *, dropout: float, seed: int) -> None:
    """Add the LoRA, and the training adapter where there is one, to the family's networks."""
    device = family.placement.device
    inject(family.networks, start.sizes, start.kind, dropout=dropout, seed=seed, device=device)
    if start.weights is not None:
        load(family.networks, start.weights)
    if start.adapter:
        add_changes(family.networks, start.adapter, TRAINING_ADAPTER)
        activate(family.networks, (TRAINED, TRAINING_ADAPTER))


def _check_same_files(now: Mapping[str, str], before: Mapping[str, str]) -> None:
    def short(digest: str | None) -> str:
        return f"{digest[:12]}…" if digest else "none"

    problems = [
        f"{setting}: the file is another one than when the run started (SHA-256 {short(before.get(setting))} then, "
        f"{short(now.get(setting))} now). Fix: put it back, or start a new run"
        for setting in sorted({*before, *now})
        if before.get(setting) != now.get(setting)
    ]
    if problems:
        raise InputError(*problems)


def _training_adapter(setting: str, card: Card, before: Mapping[str, str] | None) -> tuple[Path | None, str]:
    """The adapter's file, and what should be told of it: 'auto' is a help and no need, but a run that began with it
    goes on with it, and one that began without it goes on without. Raises InputError where that cannot be."""
    automatic = setting == "auto" and card.training_adapter is not None
    if automatic and before is not None and ADAPTER_SETTING not in before:
        return None, f"the run goes on without the training adapter {card.training_adapter}, as it began"
    try:
        return training_adapter(setting, card), ""
    except InputError as e:
        if before is not None:
            raise InputError(f"{e}. The run began with it. Fix: go on where it can be had") from e
        return None, f"{e}. Training goes on without it: {card.title} then loses its few steps sooner"


def training_adapter(setting: str, card: Card) -> Path | None:
    """The file that `lora.training_adapter` leads to; None where there is none. 'auto' is what the Card names.

    Raises InputError where that one can be had neither from the hub nor from its cache.
    """
    if setting == "off" or (setting == "auto" and card.training_adapter is None):
        return None
    if setting != "auto":
        return Path(setting)
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    owner, name, file = str(card.training_adapter).split("/", 2)
    try:
        offline = card.source.offline
        return Path(hf_hub_download(f"{owner}/{name}", file, cache_dir=hub_cache(), local_files_only=offline))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as e:
        why = next(iter(str(e).splitlines()), "") or type(e).__name__
        raise InputError(f"{ADAPTER_SETTING}: {card.training_adapter} cannot be had ({why})") from e


def _weights(changes: Mapping[str, Change], sizes: Mapping[str, Size], kind: Type, path: Path) -> dict[str, Tensor]:
    """A file's weights as those of this run's LoRA: by its names, and under its scale.

    Raises InputError naming a layer that does not fit.
    """
    where = f"lora.start_from: {path.name}"
    if foreign := [name for name in changes if name not in sizes]:
        raise InputError(f"{where} changes {foreign[0]}{_more(foreign)}, which this run does not train. "
                         "Fix: set lora.targets to include it, or lora.conv for convolutions")  # fmt: skip
    if missing := [name for name in sizes if name not in changes]:
        raise InputError(f"{where} has nothing for {missing[0]}{_more(missing)}. Fix: set lora.targets or lora.exclude "
                         "so that its layers alone are trained")  # fmt: skip
    weights: dict[str, Tensor] = {}
    for name, change in changes.items():
        if problem := _unlike(change, kind, sizes[name]):
            raise InputError(f"{where}: {name} {problem}")
        ratio = change.scale / scale(kind, sizes[name])
        for factor, w in change.factors.items():
            ending = ".weight" if factor.startswith("lora_") else ""
            w = w.float() * ratio if factor in FOLDED else w.float()
            weights[f"{name}.{factor}{ending}"] = w
        if change.magnitude is not None:
            weights[f"{name}.lora_magnitude_vector"] = change.magnitude.float()
    return weights


def _unlike(change: Change, kind: Type, size: Size) -> str:
    is_dora = change.magnitude is not None
    types: tuple[Type, ...] = ("dora",) if is_dora else ("lora", "rslora")
    types = types if change.kind == "LoRA" else ("lokr",) if change.kind == "LoKr" else ("loha",)
    if kind not in types:
        return f"is of another type. Fix: lora.type: {types[0]}"
    if change.rank not in (None, size.rank):
        return f"has rank {change.rank}, where this run has {size.rank}. Fix: lora.rank: {change.rank}, or lora.modules"
    return ""


def _more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def _sha256(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
