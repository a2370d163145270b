"""What decides the last bits of a run besides its settings and files: told where a run goes on under another."""

from collections.abc import Iterator, Mapping

import torch

from likeness.config.hardware import HardwareConfig
from likeness.families import Placement
from likeness.families.placement import precision_name


def conditions(placement: Placement, hardware: HardwareConfig) -> dict[str, str]:
    """By name, as they are now."""
    return {
        "device": str(placement.device),
        "precision": precision_name(placement.dtype),
        "quantize": placement.quantize,
        "attention": placement.attention,
        "compile": str(hardware.compile),
        "threads": str(hardware.threads),
        "torch": torch.__version__,
    }


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """At most one line in words, for a run that goes on."""
    told = [f"{name} {then.get(name)} then, {now[name]} now" for name in now if then.get(name) != now[name]]
    if told:
        yield f"the run goes on under other conditions ({'; '.join(told)}): it will not be the same to the last bit"
