"""Asking a worker to stop: by signal, or by the end of the process that started it."""

import os
import signal
from types import FrameType

PARENT = "LIKENESS_PARENT"


class StopRequest:
    """Calling it tells whether to stop. SIGINT, SIGTERM and SIGHUP ask; a second SIGINT ends at once.

    Where the environment names a process in LIKENESS_PARENT, its end asks too, so that nothing trains on unseen after
    its terminal was killed.
    """

    def __init__(self) -> None:
        parent = os.environ.get(PARENT)
        self._asked, self._parent = False, int(parent) if parent else None
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if number := getattr(signal, name, None):
                signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked = True

    def __call__(self) -> bool:
        return self._asked or (self._parent is not None and os.getppid() != self._parent)
