"""Progress of a worker on the terminal."""

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from likeness import events
from likeness.service.workers import Worker

SMOOTHING = 0.95


class _Words(ProgressColumn):
    """The task's own words beside its bar."""

    def render(self, task: Task) -> Text:
        return Text(str(task.fields.get("words", "")))


def follow(worker: Worker, screen: Console | None) -> None:
    """Show what the worker tells until it ends; without a screen just wait. Ctrl-C asks it to save and stop."""
    with _signals_passed_on(worker):
        if screen is None:
            for _ in worker.events():
                pass
            return
        with _bars(screen) as view:
            for event in worker.events():
                view.show(event)


@contextmanager
def _signals_passed_on(worker: Worker) -> Generator[None]:
    def pass_on(number: int, frame: FrameType | None) -> None:
        worker.stop()

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _bars(screen: Console) -> Generator["_View"]:
    columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), _Words())
    with Progress(*columns, console=screen, transient=not screen.is_terminal) as bars:
        yield _View(bars, screen)


class _View:
    def __init__(self, bars: Progress, screen: Console):
        self.bars, self.screen = bars, screen
        self.stage = bars.add_task("starting", total=None)
        self.steps: TaskID | None = None
        self.loss = 0.0
        self.seen = 0

    def show(self, event: events.Event) -> None:
        if isinstance(event, events.Stage):
            name = events.STAGE_WORDS.get(event.name, event.name)
            unit = 1
            if event.name in events.IN_BYTES:
                name, unit = f"{name}, MB", 1_000_000
            done, total = event.done // unit, event.total // unit or None
            self.bars.update(self.stage, description=name, completed=done, total=total, visible=True)
        elif isinstance(event, events.RunStarted):
            self._start(event)
        elif isinstance(event, events.StepDone) and self.steps is not None:
            self._step(event)
        elif isinstance(event, events.Note):
            self.screen.print(f"[yellow]note:[/] {escape(event.message)}")
        elif isinstance(event, events.UpdateSkipped):
            self.screen.print(f"[yellow]step {event.step} skipped:[/] {event.reason}")
        elif isinstance(event, events.CheckpointSaved):
            self.screen.print(f"epoch {event.epoch:>3}  {event.path}  [dim]loss {self._smoothed():.4f}[/]")
        elif isinstance(event, events.ProbesMeasured) and event.held_out_loss is not None:
            self.screen.print(
                f"           [dim]held-out loss {event.held_out_loss:.4f}, training {event.train_loss:.4f}[/]"
            )

    def _start(self, event: events.RunStarted) -> None:
        where = f"{event.device}, {event.precision}"
        again = f", going on at step {event.resumed_at}" if event.resumed_at else ""
        self.screen.print(
            f"Training on {where}: {event.images} {event.noun}, {event.epochs} epochs, {event.steps} steps{again}"
        )
        self.bars.update(self.stage, visible=False)
        self.steps = self.bars.add_task("training", total=event.steps, completed=event.resumed_at)

    def _step(self, event: events.StepDone) -> None:
        self.seen += 1
        self.loss = SMOOTHING * self.loss + (1 - SMOOTHING) * event.loss
        words = (
            f"epoch {event.epoch}  loss {self._smoothed():.4f}  {event.images_per_second:.1f} images/s  "
            f"{event.memory_bytes / 2**30:.1f} GiB"
        )
        self.bars.update(self.stage, visible=False)
        assert self.steps is not None
        self.bars.update(self.steps, completed=event.step, words=words)

    def _smoothed(self) -> float:
        """Exponential mean without the pull of its start at zero."""
        return self.loss / (1 - SMOOTHING**self.seen) if self.seen else float("nan")
