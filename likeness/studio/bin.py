"""What was deleted can be taken back for some time; then it goes."""

from likeness.studio import gallery, models, run_bin
from likeness.studio.models import DAYS_IN_BIN
from likeness.studio.workspace import Studio


def sweep(studio: Studio) -> int:
    """Remove models, pictures and runs that were deleted DAYS_IN_BIN days ago; how many. To be called every day."""
    seconds = DAYS_IN_BIN * 86400
    return models.empty_bin(studio, seconds) + gallery.empty_bin(studio, seconds) + run_bin.empty(studio, seconds)
