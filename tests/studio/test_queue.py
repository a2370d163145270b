from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from likeness.errors import InputError
from likeness.service.workers import Order
from likeness.store.tables import Job
from likeness.studio import queue
from likeness.studio.queue import Entry
from likeness.studio.workspace import Studio


def add(studio: Studio, title: str = "a job", **values: object) -> Job:
    return queue.submit(studio, Order("sample", {"title": title}), Entry(title, **values))  # type: ignore[arg-type]


def waiting(studio: Studio) -> list[str]:
    return [job.title for job in queue.listed(studio, states=["queued"])]


def test_first_come_first_served_but_for_priority(studio: Studio) -> None:
    for title, priority in (("a", 0), ("b", 0), ("c", 5)):
        add(studio, title, priority=priority)
    assert waiting(studio) == ["c", "a", "b"]
    assert [queue.claim(studio, "cpu", light=False).title for _ in range(3)] == ["c", "a", "b"]  # type: ignore[union-attr]
    assert queue.claim(studio, "cpu", light=False) is None


def test_no_job_is_claimed_twice(studio: Studio) -> None:
    for number in range(60):
        add(studio, str(number))
    with ThreadPoolExecutor(6) as pool:
        claimed = [job.id for job in pool.map(lambda _: queue.claim(studio, "cpu", light=False), range(80)) if job]
    assert len(claimed) == len(set(claimed)) == 60


def test_light_work_has_a_lane_of_its_own(studio: Studio) -> None:
    add(studio, "heavy")
    add(studio, "light", light=True)
    assert queue.claim(studio, "", light=True).title == "light"  # type: ignore[union-attr]
    assert queue.claim(studio, "", light=True) is None


def test_waiting_jobs_are_moved(studio: Studio) -> None:
    a, b, c = (add(studio, title) for title in "abc")
    queue.move(studio, c.id, before=a.id)
    assert waiting(studio) == ["c", "a", "b"]
    queue.move(studio, c.id, before=b.id)
    assert waiting(studio) == ["a", "c", "b"]
    queue.move(studio, a.id, before=None)
    assert waiting(studio) == ["c", "b", "a"]
    queue.prioritise(studio, a.id, 1)
    assert waiting(studio) == ["a", "c", "b"]
    queue.move(studio, b.id, before=a.id)
    assert waiting(studio) == ["b", "a", "c"]
    with pytest.raises(InputError, match="does not wait"):
        queue.move(studio, b.id, before="nobody")


def test_a_run_is_in_the_queue_once(studio: Studio, tmp_path: Path) -> None:
    job = queue.submit_training(studio, tmp_path, Entry("mika"))
    with pytest.raises(InputError, match=r"mika: is in the queue already \(queued\)"):
        queue.submit_training(studio, tmp_path, Entry("mika"))
    queue.ask_to_stop(studio, job.id, "canceled")
    queue.submit_training(studio, tmp_path, Entry("mika"))
    with pytest.raises(InputError, match="in the queue already"):
        queue.queue_again(studio, job.id)


def test_waiting_jobs_are_paused_and_canceled_at_once(studio: Studio) -> None:
    job = add(studio)
    assert queue.ask_to_stop(studio, job.id, "paused").state == "paused"
    assert queue.claim(studio, "cpu", light=False) is None
    assert queue.queue_again(studio, job.id).state == "queued"
    assert queue.ask_to_stop(studio, job.id, "canceled").state == "canceled"
    with pytest.raises(InputError, match="has ended"):
        queue.ask_to_stop(studio, job.id, "canceled")


def test_ends_are_marked_until_seen(studio: Studio) -> None:
    jobs = [add(studio, title) for title in "ab"]
    for job in jobs:
        queue.change(studio, job.id, state="finished")
    assert queue.unseen(studio) == 2
    queue.mark_seen(studio, [jobs[0].id])
    assert queue.unseen(studio) == 1
    queue.mark_seen(studio)
    assert queue.unseen(studio) == 0


def test_a_full_queue_takes_no_more(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "MOST_WAITING", 1)
    add(studio)
    with pytest.raises(InputError, match="the queue is full"):
        add(studio)


def test_an_order_lies_in_the_jobs_folder(studio: Studio) -> None:
    job = add(studio, "what is asked")
    assert (Path(job.folder) / "job.json").is_file() and Path(job.folder) == studio.jobs / job.id
