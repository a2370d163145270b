"""Test pictures asked for between two epochs: drawn with the LoRA as it is then, and the training none the wiser."""

from collections.abc import Callable
from pathlib import Path

from likeness.events import SAMPLE_NOW, RunStopped, SampleNow, Stage, read_events
from likeness.train import loop
from likeness.worker import training
from likeness.worker.epoch import EpochResults
from tests.tiny_run import copy_run, course, results

RANDOM = {"lora__dropout": 0.3, "data__captions__dropout": 0.4, "train__ema_decay": 0.9, "scorecard__enabled": False}


def asked_in(folder: Path) -> list[SampleNow]:
    return [e for e in read_events(folder / "events.jsonl") if isinstance(e, SampleNow)]


def test_the_run_learns_the_same_as_without(make_run: Callable[..., Path]) -> None:
    plain = make_run(**RANDOM)
    asked = copy_run(plain, "asked")
    assert training.run(plain) == 0
    (asked / SAMPLE_NOW).touch()
    assert training.run(asked) == 0
    assert results(asked) == results(plain) and course(asked) == course(plain)
    (drawn,) = asked_in(asked)
    assert (drawn.step, drawn.epoch, drawn.prompt) == (1, 1, "tiny_char at sea")
    assert (asked / drawn.path).read_bytes()[:4] == b"\x89PNG" and not (asked / SAMPLE_NOW).exists()
    assert asked_in(plain) == []


def test_the_last_step_of_an_epoch_shows_what_the_epoch_shows(make_run: Callable[..., Path]) -> None:
    """Asked for at that step, the picture is that of the epoch's file, byte for byte."""
    run = make_run(**RANDOM, data__datasets__0__repeats=1, train__batch_size=3)
    (run / SAMPLE_NOW).touch()
    assert training.run(run) == 0
    (drawn,) = asked_in(run)
    assert (run / drawn.path).read_bytes() == (run / "samples/epoch-001/prompt-1-seed-42.png").read_bytes()


def test_stopped_while_drawing_it_goes_on_bit_for_bit(make_run: Callable[..., Path]) -> None:
    plain = make_run(**RANDOM)
    run = copy_run(plain, "stopped")
    training.run(plain)
    (run / SAMPLE_NOW).touch()
    asked = False

    def stop() -> bool:
        return asked

    for event in loop.train(training.read_job(run), stop, EpochResults):
        asked = asked or (isinstance(event, Stage) and event.name == "sampling" and (run / "state").exists())
        asked = asked or isinstance(event, SampleNow)
    assert isinstance(event, RunStopped) and event.step == 1
    assert training.run(run) == 0
    assert results(run) == results(plain)
    assert not (run / SAMPLE_NOW).exists()


def test_without_test_prompts_nothing_is_drawn(make_run: Callable[..., Path]) -> None:
    run = make_run(sampling__prompts="[]", train__epochs=1)
    (run / SAMPLE_NOW).touch()
    assert training.run(run) == 0
    assert asked_in(run) == [] and not (run / SAMPLE_NOW).exists()
