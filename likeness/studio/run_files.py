"""Files of a run that may be looked at or fetched: pictures, LoRAs, the report, the log."""

from pathlib import Path, PurePosixPath

from likeness.errors import NotFound
from likeness.report.grid import save_grid
from likeness.report.history import read_history
from likeness.report.page import write_report
from likeness.report.voice import write_voice_report
from likeness.service.workers import LOG_NAME
from likeness.studio.run_summaries import VOICE, folder_of, kind_of, pictures_only
from likeness.studio.workspace import Studio

PICTURES = ("samples", "scorecard", "pictures", "now", "evaluations", "comparisons")  # folders of a run
LOG_BYTES = 32 * 1024


def picture(studio: Studio, name: str, path: str) -> Path:
    """A picture by its path in the run folder. Raises NotFound, also for whatever is no picture of the run."""
    folder, parts = folder_of(studio, name), PurePosixPath(path).parts
    found = folder.joinpath(*parts)
    inside = len(parts) > 1 and parts[0] in PICTURES and ".." not in parts and "\0" not in path
    if not inside or found.suffix.lower() not in (".png", ".webp", ".jpg") or not found.is_file():
        raise NotFound(f"run '{name}' has no picture '{path[:200]}'. Fix: take one from its list of samples")
    if not found.resolve().is_relative_to(folder.resolve()):  # a link that leads out
        raise NotFound(f"run '{name}' has no picture '{path[:200]}'. Fix: take one from its list of samples")
    return found


def reference(studio: Studio, name: str, index: int) -> Path:
    """The source picture of an edit's test prompt, from 1. Raises NotFound, Conflict for a trained voice."""
    history = read_history(pictures_only(studio, name))
    found = next((p.reference for p in history.prompts if p.index == index), None)
    if found is None:
        raise NotFound(f"test prompt {index} of run '{name}' has no source picture. Fix: take another")
    return found


def checkpoint(studio: Studio, name: str, epoch: int) -> Path:
    """The LoRA of an epoch, as it was trained. Raises NotFound."""
    path = folder_of(studio, name) / "checkpoints" / f"epoch-{epoch:03d}.safetensors"
    if not path.is_file():
        raise NotFound(f"epoch: run '{name}' has no LoRA of epoch {epoch}. Fix: take one of its epochs")
    return path


def report(studio: Studio, name: str) -> Path:
    """The run's own page, made now where it is not there yet."""
    folder = folder_of(studio, name)
    if (folder / "report.html").is_file():
        return folder / "report.html"
    return write_voice_report(folder) if kind_of(folder) == VOICE else write_report(folder)


def grid(studio: Studio, name: str) -> Path:
    """Epochs side by side as one picture, made now where it is not there yet. Raises NotFound without samples, Conflict
    for a trained voice."""
    folder = pictures_only(studio, name)
    if not (folder / "grid.png").is_file():
        history = read_history(folder)
        if not history.samples:
            raise NotFound(f"run '{name}' has no test pictures yet. Fix: wait for its first epoch")
        save_grid(history, folder / "grid.png")
    return folder / "grid.png"


def log_tail(studio: Studio, name: str) -> str:
    """The end of what the worker printed."""
    try:
        with (folder_of(studio, name) / LOG_NAME).open("rb") as f:
            size = f.seek(0, 2)
            f.seek(max(0, size - LOG_BYTES))
            text = f.read().decode(errors="replace")
    except OSError:
        return ""
    return text if size <= LOG_BYTES else text.partition("\n")[2]
