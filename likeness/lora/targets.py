"""Which layers of a base get a LoRA, and of which size."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from likeness.errors import InputError
from likeness.lora.kinds import Size

TEXT_ENCODER = r".*\.(q_proj|k_proj|v_proj|out_proj)"  # of every text encoder that is trained
CONVOLUTIONS = r".*\.(resnets|downsamplers|upsamplers)\.\d+\.(conv|conv1|conv2|conv_shortcut)"  # of a UNet's blocks


@dataclass(frozen=True)
class Rule:
    """A size of their own for the layers whose names match. None: as for all others."""

    match: str
    rank: int | None = None
    alpha: float | None = None


@dataclass(frozen=True)
class Targets:
    """What is wanted. Expressions must match a whole name: as in the network, or with the network's prefix before it.

    `pattern` is for the denoiser; text encoders have theirs in TEXT_ENCODER.
    """

    pattern: str
    size: Size
    rules: Sequence[Rule] = ()
    exclude: str = ""
    convolutions: bool = False


def choose_layers(networks: Mapping[str, nn.Module], wanted: Targets) -> dict[str, Size]:
    """The size of each layer's LoRA, by `<prefix>.<layer>`. `networks` by prefix: the denoiser first.

    Raises InputError with one line for every expression that matches nothing, each with names that are there.
    """
    denoiser, *encoders = ((prefix, list(layer_names(network))) for prefix, network in networks.items())
    problems = list(_unmatched(wanted, *denoiser))
    patterns = [wanted.pattern, *([CONVOLUTIONS] if wanted.convolutions else [])]
    found = [f"{denoiser[0]}.{name}" for name in denoiser[1] if any(re.fullmatch(p, name) for p in patterns)]
    found += [f"{prefix}.{name}" for prefix, names in encoders for name in names if re.fullmatch(TEXT_ENCODER, name)]
    chosen = [name for name in found if not _matches(wanted.exclude, name)]
    expressions = {f"lora.modules.{n}.match": (rule.match, chosen) for n, rule in enumerate(wanted.rules)}
    if wanted.exclude:
        expressions["lora.exclude"] = (wanted.exclude, found)
    for setting, (pattern, names) in expressions.items():
        if names and not any(_matches(pattern, name) for name in names):
            problems.append(_nothing(setting, pattern, names, "matches none of the chosen layers"))
    if found and not chosen:
        problems.append(f"lora.exclude: '{wanted.exclude}' leaves no layer. Fix: exclude less")
    if problems:
        raise InputError(*problems)
    return {name: _size(name, wanted) for name in chosen}


def layer_names(network: nn.Module) -> Iterator[str]:
    """The layers that can have a LoRA: linear ones and convolutions, in the network's order. Those that have one
    already are named as without it."""
    inside: tuple[str, ...] = ()
    for name, module in network.named_modules():
        if isinstance(module, BaseTunerLayer):
            inside = (*inside, f"{name}.")
            if not name.startswith(inside[:-1]):
                yield name
        elif isinstance(module, nn.Linear | nn.Conv2d) and not name.startswith(inside):
            yield name


def _size(name: str, wanted: Targets) -> Size:
    rule = next((r for r in wanted.rules if _matches(r.match, name)), Rule(""))
    return Size(rule.rank or wanted.size.rank, rule.alpha or wanted.size.alpha)


def _matches(pattern: str, full_name: str) -> bool:
    return any(re.fullmatch(pattern, name) for name in (full_name, full_name.partition(".")[2]))


def _unmatched(wanted: Targets, prefix: str, names: list[str]) -> Iterator[str]:
    if not any(re.fullmatch(wanted.pattern, name) for name in names):
        fix = "use 'all' or 'attention', or one of them"
        yield _nothing("lora.targets", wanted.pattern, names, "matches no layer of the base", fix)
    if wanted.convolutions and not any(re.fullmatch(CONVOLUTIONS, name) for name in names):
        yield f"lora.conv: the blocks of this base's {prefix} hold no convolutions. Fix: leave it out"


def _nothing(setting: str, pattern: str, names: Sequence[str], what: str, fix: str = "check it against these") -> str:
    near = ", ".join(f"'{name}'" for name in _nearest(pattern, names))
    found = next((name for name in names if re.search(pattern, name)), None)
    if found is not None:
        fix = f"the whole name must match, so write '.*({pattern}).*', which is in '{found}'"
    return f"{setting}: '{pattern}' {what}, such as {near}. Fix: {fix}"


def _nearest(pattern: str, names: Iterable[str]) -> list[str]:
    """Three names, each of another kind (one name for all blocks), the most alike first."""
    kinds = {re.sub(r"\d+", "#", name): name for name in reversed(list(names))}
    plain = re.sub(r"\\d\+?|\[.*?\]\+?", "#", pattern).replace("\\", "")
    near = difflib.get_close_matches(plain, kinds, n=3, cutoff=0.3)
    return [kinds[kind] for kind in [*near, *(k for k in reversed(kinds) if k not in near)][:3]]
