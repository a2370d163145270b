"""What the groups of settings have in common."""

from pydantic import ConfigDict

# Strict: text is never taken for a number; a file says what it means. Unknown keys are refused, never ignored.
SECTION = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=True)
