"""Captioning and enlarging through the queue. The workers are real, the captioner and the upscaler are the shipped
ones."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from likeness.config.caption import CaptionConfig, ServerConfig
from likeness.errors import Conflict, InputError, NotFound
from likeness.store.tables import Dataset, Job
from likeness.studio import datasets, preferences, queue
from likeness.studio.datasets import arrivals, captions, crops, jobs, steps
from likeness.studio.supervisor import Supervisor
from likeness.studio.workspace import Studio
from tests.studio.datasets_at_hand import EXAMPLES, picture, put


@pytest.fixture
def mika(studio: Studio, tmp_path: Path) -> Dataset:
    row = datasets.create(studio, "Mika", trigger="mika_char", base="starter")
    for name in ("mika-01.png", "mika-02.png", "mika-03.png"):
        (tmp_path / "upload").write_bytes((EXAMPLES / "character" / "mika" / name).read_bytes())
        datasets.add(studio, row.id, tmp_path / "upload", name)
    return row


@pytest.fixture
def served(studio: Studio) -> Iterator[Studio]:
    """The queue is worked on."""
    supervisor = Supervisor(studio, ["cpu"], jobs.ENDINGS)
    supervisor.start()
    yield studio
    supervisor.stop()


def ended(studio: Studio, job: Job) -> Job:
    """Wait for the job's end."""
    for _ in range(1200):
        if (now := queue.get(studio, job.id)).state in queue.ENDED:
            return now
        time.sleep(0.1)
    raise AssertionError(f"{job.title} did not end")


def told(studio: Studio, row: Dataset) -> list[tuple[str, str]]:
    return [(p.author, p.caption) for p in datasets.pictures(studio, row.id)[0]]


def test_captions_are_written_but_never_over_a_persons(served: Studio, mika: Dataset) -> None:
    captions.set_caption(served, mika.id, "mika-02.png", "mika_char, my own words")
    job = jobs.caption(served, mika.id)
    assert (job.light, job.subject) == (False, f"dataset:{mika.id}")
    assert ended(served, job).state == "finished"
    one, two, three = told(served, mika)
    assert two == ("person", "mika_char, my own words")
    assert one[0] == three[0] == "machine" and "mika_char" in one[1] and "mika_char" in three[1]


def test_one_captioning_at_a_time(studio: Studio, mika: Dataset) -> None:
    first = jobs.caption(studio, mika.id)
    with pytest.raises(Conflict, match="is being captioned already"):
        jobs.caption(studio, mika.id)
    queue.ask_to_stop(studio, first.id, "canceled")
    jobs.caption(studio, mika.id)


def test_what_cannot_be_captioned_is_refused(studio: Studio) -> None:
    for kind, problem in (("character", "no pictures"), ("edit", "no pairs")):
        with pytest.raises(InputError, match=problem):
            jobs.caption(studio, datasets.create(studio, kind, kind).id)
    assert queue.listed(studio) == []


def test_only_servers_that_are_allowed_are_asked(studio: Studio, mika: Dataset) -> None:
    settings = CaptionConfig(engine="openai", model="some-model")
    elsewhere = ServerConfig(endpoint="http://169.254.169.254/v1")
    with pytest.raises(InputError, match=r"server\.endpoint: http://169\.254\.169\.254/v1 is not among"):
        jobs.caption(studio, mika.id, settings, elsewhere)
    with pytest.raises(InputError, match=r"server\.api_key_env"):
        jobs.caption(studio, mika.id, settings, ServerConfig(api_key_env="AWS_SECRET_ACCESS_KEY"))
    assert queue.listed(studio) == []
    preferences.change(studio, "captions", {"servers": ["http://169.254.169.254/v1/"]})
    assert jobs.caption(studio, mika.id, settings, elsewhere).light


def test_enlarged_pictures_take_the_place_of_the_small_ones(served: Studio, mika: Dataset, tmp_path: Path) -> None:
    captions.set_caption(served, mika.id, "mika-01.png", "mika_char at rest")
    crops.set_crop(served, mika.id, "mika-01.png", (0.25, 0.25, 0.5, 0.5))
    frozen = datasets.version_folder(served, mika.id, datasets.freeze(served, mika.id).number)
    before = (frozen / "mika-01.png").read_bytes()
    job = ended(served, jobs.enlarge(served, mika.id, ["mika-01.png"]))
    assert (job.state, job.result and job.result["enlarged"]) == ("finished", ["mika-01.png"])
    found = datasets.find(served, mika.id, "mika-01.png")
    assert (found.width, found.height, found.caption) == (256, 256, "mika_char at rest")
    assert found.crop == (0.25, 0.25, 0.5, 0.5)
    assert datasets.find(served, mika.id, "mika-02.png").width == 128
    assert (frozen / "mika-01.png").read_bytes() == before
    steps.undo(served, mika.id)
    assert datasets.path_of(served, mika.id, "mika-01.png").read_bytes() == before


def enlarged(studio: Studio, job: Job, sizes: dict[int, tuple[int, int]], suffix: str = ".png") -> dict[str, object]:
    """As if the job had been done."""
    large = Path(job.folder) / "large"
    entries = [{"path": str(picture(large / f"{n}{suffix}", size=size))} for n, size in sizes.items()]
    return jobs.put_enlarged(studio, job, {"enhanced": entries}) or {}


def test_pictures_that_changed_meanwhile_stay(studio: Studio, mika: Dataset, tmp_path: Path) -> None:
    job = jobs.enlarge(studio, mika.id, ["mika-01.png", "mika-02.png", "mika-03.png"])
    datasets.remove(studio, mika.id, ["mika-01.png", "mika-02.png"])
    put(studio, mika.id, tmp_path, "mika-02.png")
    result = enlarged(studio, job, {0: (256, 256), 1: (256, 256), 2: (256, 256)})
    assert result == {"enlarged": ["mika-03.png"], "left": ["mika-01.png", "mika-02.png"]}
    assert [(p.name, p.width) for p in datasets.pictures(studio, mika.id)[0]] == [
        ("mika-02.png", 64),
        ("mika-03.png", 256),
    ]
    assert enlarged(studio, job, {2: (256, 256)})["enlarged"] == []  # told a second time


def test_a_format_that_is_not_written_becomes_another_and_pairs_follow(studio: Studio, tmp_path: Path) -> None:
    row = datasets.create(studio, "Night", "edit")
    for name, colour in (("a_before.gif", "white"), ("a_after.gif", "black")):
        source = picture(tmp_path / "in" / "x.gif", colour=colour)
        arrivals.take(studio, row.id, source, name)
    captions.set_caption(studio, row.id, "a_after.gif", "make it night")
    job = jobs.enlarge(studio, row.id, ["a_before.gif", "a_after.gif"])
    enlarged(studio, job, {0: (128, 96), 1: (128, 96)})
    (found,) = datasets.pictures(studio, row.id)[0]
    assert (found.name, found.sources, found.caption) == ("a_after.png", ("a_before.png",), "make it night")
    steps.undo(studio, row.id)
    (found,) = datasets.pictures(studio, row.id)[0]
    assert (found.name, found.sources, found.width) == ("a_after.gif", ("a_before.gif",), 64)


def test_what_cannot_be_enlarged_is_refused_and_leaves_nothing(studio: Studio, mika: Dataset) -> None:
    for names, kind in ((["nobody.png"], NotFound), ([], InputError)):
        with pytest.raises(kind):
            jobs.enlarge(studio, mika.id, names)
    assert not studio.jobs.exists() or not list(studio.jobs.iterdir())
