"""A workspace, opened: its folders and its database."""

import threading
from pathlib import Path

from likeness.errors import InputError
from likeness.store.database import Database

FOLDER = "studio"  # in the workspace, beside the runs; so no run may have this name
DATABASE = "studio.db"


class Studio:
    """Runs lie in the workspace itself, as `likeness train` leaves them; all else is in its folder `studio`.

    Functions of this package take a Studio first. They may be called from several threads, and several processes may
    have one workspace open; only one of them runs the queue (see `supervisor`). Raises InputError where the workspace
    cannot be used.
    """

    def __init__(self, workspace: Path):
        self.workspace = workspace.expanduser().absolute()
        self.root = self.workspace / FOLDER
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise InputError(f"{self.root}: cannot be made ({e.strerror}). Fix: choose another --workspace") from e
        self.database = Database(self.root / DATABASE)
        self.woken = threading.Event()  # set when the queue has something to look at

    @property
    def datasets(self) -> Path:
        return self.root / "datasets"

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def pictures(self) -> Path:
        return self.root / "pictures"

    @property
    def thumbnails(self) -> Path:
        return self.root / "thumbnails"

    @property
    def voices(self) -> Path:
        return self.root / "voices"

    @property
    def recordings(self) -> Path:
        return self.root / "recordings"

    @property
    def uploads(self) -> Path:
        return self.root / "uploads"

    def run_folder(self, name: str) -> Path:
        """Where the run of this name lies, or would. Raises InputError for what is no name of a run."""
        if not name or name.startswith(".") or name == FOLDER or Path(name).name != name:
            raise InputError(f"'{name}' is no name for a run. Fix: choose another")
        return self.workspace / name

    def close(self) -> None:
        self.database.close()
