"""When a run has learned enough, and which of its files to keep: by the loss on held-out pictures.

Pure functions of what was measured, so that a run that was interrupted decides as one that was not.
"""

from collections.abc import Iterable

from likeness.events import Event, ProbesMeasured


def held_out_curve(events: Iterable[Event], until: int) -> dict[int, float]:
    """Held-out loss by trained epoch up to `until`, as told last."""
    found = {e.epoch: e.held_out_loss for e in events if isinstance(e, ProbesMeasured) and 0 < e.epoch <= until}
    return {epoch: loss for epoch, loss in sorted(found.items()) if loss is not None}


def enough(curve: dict[int, float], patience: int) -> str | None:
    """Why the run should end: `patience` epochs have passed since the lowest loss. None where it should not, or
    `patience` is 0. Of equal losses the first counts."""
    if not patience or not curve:
        return None
    last, best = max(curve), min(curve, key=lambda epoch: (curve[epoch], epoch))
    if last - best < patience:
        return None
    return (
        f"ended early after epoch {last}: the held-out loss was lowest at epoch {best} ({curve[best]:.4f}), and "
        f"train.early_stop is {patience}"
    )


def worse_epochs(curve: dict[int, float], keep: int, latest: int) -> list[int]:
    """Epochs whose files are to be deleted: all that were measured but the best `keep` and the latest. None for 0."""
    if not keep:
        return []
    best = sorted(curve, key=lambda epoch: (curve[epoch], epoch))[:keep]
    return [epoch for epoch in curve if epoch not in best and epoch != latest]
