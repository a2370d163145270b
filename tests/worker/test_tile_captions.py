"""Captions of detail crops: written once, kept in the run, never lost."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

from likeness.captioning import Ask, CaptionFailed, Engine
from likeness.captioning.protocol import Abilities, Answer
from likeness.config.caption import CaptionConfig, ServerConfig
from likeness.config.crops import DetailCropsConfig
from likeness.dataset.manifest import Example, read_manifest
from likeness.errors import InputError
from likeness.events import Stage
from likeness.worker import tile_captions, training
from likeness.worker.tile_captions import FILE_NAME, caption_tiles

MakeRun = Callable[..., Path]
CROPS = (
    "{enabled: true, tile_resolution: 32, overlap: 0.5, enable_captioning: true, caption_user_prompt: 'in {context}?'}"
)


class Fake:
    """Answers with the question and the size of the picture; refuses what `refuses` says."""

    model, abilities = "fake", Abilities(takes_prompts=True, sees_pairs=False, at_once=1)

    def __init__(self, refuses: Callable[[int], bool] = lambda _: False):
        self.asks: list[Ask] = []
        self.refuses = refuses

    def answer(self, asks: Sequence[Ask]) -> list[Answer | CaptionFailed]:
        self.asks += asks
        if self.refuses(len(self.asks)):
            return [CaptionFailed("timeout", "no answer within 1 second")]
        width, height = asks[0].pictures[0].size
        return [Answer(f"part {len(self.asks)} of {width}x{height}")]

    def stop(self) -> None: ...


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    captioner = Fake()

    def open_fake(settings: CaptionConfig, server: ServerConfig) -> Engine:
        return Engine(settings, captioner)

    monkeypatch.setattr(tile_captions, "open_engine", open_fake)
    return captioner


def captions(run: Path, stopped: Callable[[], bool] = lambda: False, **settings: object) -> list[Example]:
    crops = DetailCropsConfig(enabled=True, caption_user_prompt="in {context}?", **settings)  # type: ignore[arg-type]
    *told, examples = caption_tiles(run, read_manifest(run / "manifest.jsonl"), crops, 42, stopped)
    assert isinstance(examples, list) and all(isinstance(t, Stage) for t in told)
    return examples


def test_tiles_are_captioned_in_the_light_of_the_whole(make_run: MakeRun, fake: Fake) -> None:
    run = make_run(data__detail_crops=CROPS)
    examples = captions(run)
    tiles, whole = [e for e in examples if e.moves], [e for e in examples if not e.moves]
    assert [e.caption for e in whole] == [f"tiny_char in picture {n}" for n in range(3)]
    assert len(tiles) == len({e.caption for e in tiles}) == 12
    assert all(e.caption.startswith("tiny_char, part ") and e.caption.endswith("of 32x32") for e in tiles)
    assert {a.prompt for a in fake.asks} == {f"in {e.caption}?" for e in whole}
    count = len(fake.asks)
    assert captions(run) == examples and len(fake.asks) == count, "what is written is not asked for again"


def test_a_share_is_captioned(make_run: MakeRun, fake: Fake) -> None:
    examples = captions(make_run(data__detail_crops=CROPS), caption_probability=0.5)
    assert 0 < len(fake.asks) < 12
    assert sum("part" in e.caption for e in examples) == len(fake.asks)


def test_what_fails_keeps_the_words_of_the_whole_and_is_told(make_run: MakeRun, fake: Fake) -> None:
    run = make_run(data__detail_crops=CROPS)
    fake.refuses = lambda number: number == 3
    examples = captions(run)
    assert sum("part" in e.caption for e in examples) == 11
    rows = [json.loads(line) for line in (run / FILE_NAME).read_text().splitlines()]
    assert [r["failed"] for r in rows if r["caption"] is None] == ["no answer within 1 second"]
    fake.refuses = lambda _: False
    assert captions(run) == examples, "a run goes on with the captions that it started with"


def test_a_stop_keeps_what_is_written(make_run: MakeRun, fake: Fake) -> None:
    run = make_run(data__detail_crops=CROPS)
    captions(run, lambda: len(fake.asks) >= 4)
    kept = (run / FILE_NAME).read_bytes()
    assert 0 < kept.count(b"\n") < 12
    (run / FILE_NAME).write_bytes(kept + b'{"id": "cut sh')
    assert sum("part" in e.caption for e in captions(run)) == 12
    assert (run / FILE_NAME).read_bytes().startswith(kept)


def test_the_training_sees_them(make_run: MakeRun, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(data__detail_crops=CROPS)
    seen: list[Example] = []
    monkeypatch.setattr(training, "train", lambda job, *_: seen.extend(job.examples) or iter(()))
    assert training.run(run) == 0
    assert sum("part" in e.caption for e in seen) == 12


def test_what_the_captioner_lacks_is_told_in_the_settings_own_words(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(settings: CaptionConfig, server: ServerConfig) -> Engine:
        assert settings.device == "cpu"  # that of the run
        raise InputError("--endpoint: nobody is there. Fix: start it")

    monkeypatch.setattr(tile_captions, "open_engine", refuse)
    run = make_run(data__detail_crops=CROPS)
    assert training.run(run) == InputError.exit_code
    assert "data.detail_crops.caption_endpoint: nobody is there" in (run / "events.jsonl").read_text()


def test_a_tile_is_shown_as_it_is_trained(example_picture: Path) -> None:
    tile = Example("a", str(example_picture), 64, 32, "x", 1, 0, "s", crop=(32.0, 0.0, 32.0, 32.0), side=16)
    (picture,) = tile_captions.look_at(tile).pictures
    assert picture.size == (16, 16) and picture.getpixel((8, 8)) == (0, 0, 255)


@pytest.fixture
def example_picture(tmp_path: Path) -> Path:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (64, 32), (255, 0, 0))
    image.paste((0, 0, 255), (32, 0, 64, 32))
    image.save(tmp_path / "two.png")
    return tmp_path / "two.png"
