"""Small values as people type them."""

from pydantic import ValidationError

from likeness.config.hardware import HardwareConfig
from likeness.errors import InputError


def parse_numbers(option: str, text: str) -> list[int]:
    """'3,7' or '1-4,9' to a list. Raises InputError naming `option`."""
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            numbers += range(int(first), int(last) + 1) if dash else [int(first)]
        except ValueError as e:
            raise InputError(f"{option}: '{text}' is no list of numbers. Fix: write them as 3,7 or 1-4") from e
    return numbers


def hardware(device: str, precision: str) -> HardwareConfig:
    """Raises InputError naming the option that does not fit."""
    try:
        return HardwareConfig.model_validate({"device": device, "precision": precision})
    except ValidationError as e:
        problems = [f"--{'.'.join(map(str, p['loc']))}: {p['msg']} (got '{p['input']}')" for p in e.errors()]
        raise InputError(*problems) from e
