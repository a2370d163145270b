"""Small values as people type them."""

from pydantic import ValidationError

from likeness.config.hardware import HardwareConfig
from likeness.errors import InputError

MOST_NUMBERS = 10_000


def parse_numbers(option: str, text: str) -> list[int]:
    """'3,7' or '1-4,9' to a list. Raises InputError naming `option`."""
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            start, end = int(first), int(last) if dash else int(first)
        except ValueError as e:
            raise InputError(f"{option}: '{text[:100]}' is no list of numbers. Fix: write them as 3,7 or 1-4") from e
        if end - start + len(numbers) >= MOST_NUMBERS:
            raise InputError(f"{option}: '{text[:100]}' are too many numbers. Fix: at most {MOST_NUMBERS}")
        numbers += range(start, end + 1)
    return numbers


def hardware(device: str, precision: str) -> HardwareConfig:
    """Raises InputError naming the option that does not fit."""
    try:
        return HardwareConfig.model_validate({"device": device, "precision": precision})
    except ValidationError as e:
        raise InputError(*option_problems(e)) from e


def option_problems(error: ValidationError) -> list[str]:
    """What is wrong with each option of a group of settings. Where a setting has words of its own for it, what was
    given is not repeated."""
    problems: list[str] = []
    for found in error.errors(include_url=False):
        option = f"--{str(found['loc'][0]).replace('_', '-')}"
        if found["type"] == "value_error":
            problems.append(f"{option}: {found['msg'].removeprefix('Value error, ')}")
        else:
            problems.append(f"{option}: {found['msg']} (got '{found['input']}')")
    return problems
