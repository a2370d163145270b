"""The job 'mock': acts in seconds as a training would, for those who build on the interface. Nothing is learned.

Events, files and signals are those of a real run. Pictures bear the word MOCK, and each LoRA file says in its metadata
that it is none. Needs no torch, and draws at random from nothing.
"""

import colorsys
import io
import json
import math
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw, PngImagePlugin

from likeness import durable, events
from likeness.config.load import config_from_dict
from likeness.config.run import RunConfig
from likeness.errors import InputError, Interrupted
from likeness.events import EventLog, read_events
from likeness.report.grid import save_grid
from likeness.report.history import read_history
from likeness.report.page import write_report
from likeness.worker.signals import StopRequest

SECONDS = 3.0  # that the steps of a whole run take
SIDE = 256  # pixels of a picture
MOST_STEPS_TOLD = 500  # of one run; of a longer one, only some are


def run(folder: Path) -> int:
    """Go through the run in `folder`, or on with it. Raises InputError where that is no mock run, Interrupted."""
    frozen = json.loads((folder / "run.json").read_text())
    if not frozen.get("mock"):
        raise InputError(f"{folder}: is a real run. Fix: train it with `likeness train`")
    config, steps = config_from_dict(frozen["config"]), int(frozen["plan"]["steps"])
    log, stop = EventLog(folder / "events.jsonl"), StopRequest()
    before = [e for e in read_events(log.path) if isinstance(e, events.StepDone | events.UpdateSkipped)]
    began, step = time.time(), before[-1].step if before else 0
    for event in _events(folder, config, steps, int(frozen["plan"]["images"]), step):
        log.write(event)
        step = event.step if isinstance(event, events.StepDone) else step
        if stop():
            message = f"stopped as asked at step {step} of a mock run"
            log.write(events.RunStopped(step=step, why="interrupted", message=message))
            raise Interrupted(message)
    log.write(events.RunFinished(step=steps, seconds=time.time() - began))
    write_report(folder)
    if (history := read_history(folder)).samples:
        save_grid(history, folder / "grid.png")
    return 0


def _events(folder: Path, config: RunConfig, steps: int, images: int, done: int) -> Iterator[events.Event]:
    epochs = config.train.epochs
    per_epoch = max(1, steps // epochs)
    if not done:
        yield events.Note(message="a mock run: nothing is trained, and its files are not for use")
        for stage in ("loading", "encoding"):
            yield events.Stage(name=stage, done=images, total=images)
            time.sleep(SECONDS / 20)
    yield events.RunStarted(
        name=config.name, steps=steps, epochs=epochs, images=images, device="mock", precision="mock", resumed_at=done
    )

    def ended(step: int) -> int | None:
        """The epoch that ends with a step; 0 before the first."""
        epoch = min(epochs, (step - 1) // per_epoch + 1)
        return 0 if not step else epoch if step == steps or (step % per_epoch == 0 and epoch < epochs) else None

    if (epoch := ended(done)) is not None:  # asked to stop amid what an epoch leaves, it is left now
        yield from _results(folder, config, epoch, done)
    stride = max(1, steps // MOST_STEPS_TOLD)
    for step in range(done + 1, steps + 1):
        epoch = min(epochs, (step - 1) // per_epoch + 1)
        if step % stride == 0 or step == steps or step % per_epoch == 0:
            time.sleep(SECONDS / steps * stride)
            yield _step(step, epoch, steps)
        if (folder / events.SAMPLE_NOW).exists():
            yield from _pictures(folder, config, epoch, step, now=True)
            (folder / events.SAMPLE_NOW).unlink(missing_ok=True)
        if ended(step):
            yield from _results(folder, config, epoch, step)


def _step(step: int, epoch: int, steps: int) -> events.StepDone:
    """A loss that falls, and jumps about as losses do, the same in every mock run."""
    loss = 0.3 + 0.5 * math.exp(-4 * step / steps) + 0.05 * math.sin(step * 2.399)
    return events.StepDone(
        step=step, epoch=epoch, loss=loss, learning_rate=1e-4, gradient_norm=1.0, images_per_second=0.0, memory_bytes=0
    )


def _results(folder: Path, config: RunConfig, epoch: int, step: int) -> Iterator[events.Event]:
    """What the end of an epoch leaves."""
    train = config.train
    last = epoch == train.epochs
    if epoch and (last or epoch % train.save_every == 0):
        path = folder / "checkpoints" / f"epoch-{epoch:03d}.safetensors"
        durable.write_bytes(path, _lora(config, epoch, step))
        yield events.CheckpointSaved(epoch=epoch, step=step, path=str(path.relative_to(folder)))
    if train.sample_every and (last or epoch % train.sample_every == 0):
        yield from _pictures(folder, config, epoch, step, now=False)
    if epoch:
        yield events.VerdictGiven(
            epoch=epoch,
            verdict="cannot tell",
            sentence="A mock run: nothing was learned, so nothing can be said.",
            suggested=epoch,
            sweet_spot=[],
            overfit_from=None,
            flags=[],
            reasons=["Nothing was measured."],
            advice=[],
            rows=[],
        )


def _pictures(folder: Path, config: RunConfig, epoch: int, step: int, *, now: bool) -> Iterator[events.Event]:
    prompts = config.sampling.prompts
    for number, prompt in enumerate(prompts, start=1):
        seed = config.sampling.seed if prompt.seed is None else prompt.seed
        place = Path("now") / f"step-{step:06d}" if now else Path("samples") / f"epoch-{epoch:03d}"
        path = folder / place / f"prompt-{number}-seed-{seed}.png"
        yield events.Stage(name="sampling", done=number - 1, total=len(prompts))
        durable.write_bytes(path, _picture(prompt.prompt, number, step))
        make = events.SampleNow if now else events.SampleSaved
        yield make(
            epoch=epoch, step=step, prompt_index=number, prompt=prompt.prompt, seed=seed,
            path=str(path.relative_to(folder)),
        )  # fmt: skip


def _picture(prompt: str, number: int, step: int) -> bytes:
    """A coloured square with MOCK on it, another for each prompt and step."""
    red, green, blue = colorsys.hsv_to_rgb((number * 0.21 + step * 0.003) % 1, 0.45, 0.85)
    image = Image.new("RGB", (SIDE, SIDE), (int(red * 255), int(green * 255), int(blue * 255)))
    drawing = ImageDraw.Draw(image)
    drawing.text((16, 16), "MOCK", fill="black", font_size=48)
    drawing.text((16, SIDE - 40), f"prompt {number}, step {step}", fill="black", font_size=18)
    text = PngImagePlugin.PngInfo()
    text.add_itxt("parameters", f"MOCK: drawn by no model. {prompt}")
    data = io.BytesIO()
    image.save(data, "PNG", pnginfo=text)
    return data.getvalue()


def _lora(config: RunConfig, epoch: int, step: int) -> bytes:
    """A whole safetensors file with one number in it, which no layer of any model is called."""
    told = {"name": config.name, "base": config.base, "epoch": epoch, "step": step, "mock": True}
    header = {
        "__metadata__": {"format": "pt", "likeness": json.dumps(told), "likeness_mock": "nothing was trained"},
        "mock.weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + struct.pack("<f", 0.0)
