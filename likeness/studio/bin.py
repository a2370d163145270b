"""What was deleted can be taken back for some time; then it goes."""

from likeness.studio import gallery, models, run_bin, voices
from likeness.studio.models import DAYS_IN_BIN
from likeness.studio.workspace import Studio


def sweep(studio: Studio) -> int:
    """Remove what was deleted DAYS_IN_BIN days ago; how many things that were. To be called every day."""
    seconds = DAYS_IN_BIN * 86400
    library = models.empty_bin(studio, seconds) + voices.empty_bin(studio, seconds)
    return library + gallery.empty_bin(studio, seconds) + run_bin.empty(studio, seconds)
