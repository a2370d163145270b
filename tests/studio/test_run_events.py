"""The stream of a run's events: nothing lost, nothing twice, a small start for who comes late, and an end."""

import asyncio
import json
from pathlib import Path

import pytest

from likeness import events
from likeness.errors import NotFound
from likeness.studio import queue, run_bin, run_events
from likeness.studio.run_events import Told, follow
from likeness.studio.workspace import Studio
from tests.studio.runs_at_hand import a_machine, began, mika, start, step, told


@pytest.fixture(autouse=True)
def at_hand(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    a_machine(monkeypatch)
    monkeypatch.setattr(run_events, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(run_events, "STATE_SECONDS", 0.02)
    mika(studio, tmp_path)
    start(studio)
    return studio.run_folder("mika")


def end(studio: Studio, state: str = "finished") -> None:
    queue.change(studio, queue.listed(studio)[0].id, state=state, ended=1.0)


async def _collect(studio: Studio, after: int = 0, most: int = 10**6) -> list[Told]:
    found: list[Told] = []
    async for one in follow(studio, "mika", after):
        found.append(one)
        if len(found) >= most:
            break
    return found


def collect(studio: Studio, after: int = 0, most: int = 10**6) -> list[Told]:
    return asyncio.run(asyncio.wait_for(_collect(studio, after, most), 30))


def test_all_is_told_and_then_the_end(studio: Studio, at_hand: Path) -> None:
    told(at_hand, began(), step(1), step(2), events.RunFinished(step=2, seconds=1.0))
    end(studio)
    found = collect(studio)
    assert [one.kind for one in found] == ["run_started", "step", "step", "run_finished", "close"]
    assert json.loads(found[1].data)["step"] == 1 and json.loads(found[-1].data) == {"state": "finished"}


def test_cut_off_anywhere_it_goes_on_there(studio: Studio, at_hand: Path) -> None:
    told(at_hand, began(), *(step(n) for n in range(1, 20)))
    end(studio, "failed")
    whole = collect(studio)
    for cut in range(1, len(whole)):
        first = collect(studio, most=cut)
        rest = collect(studio, after=int(first[-1].id))
        assert [one.id for one in first + rest] == [one.id for one in whole]


def test_what_comes_is_told_as_it_comes(studio: Studio, at_hand: Path) -> None:
    """Also a line of which only half is there at first."""

    async def follow_and_write() -> list[str]:
        seen: list[str] = []
        stream = follow(studio, "mika")
        told(at_hand, began())
        seen.append((await anext(stream)).kind)
        line = events.encode(step(1)).encode() + b"\n"
        with (at_hand / "events.jsonl").open("ab") as f:
            f.write(line[:20])
            f.flush()
            following = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0.2)
            assert not following.done()
            f.write(line[20:])
        seen.append((await following).kind)
        end(studio, "paused")
        seen.append((await anext(stream)).kind)
        return seen

    assert asyncio.run(asyncio.wait_for(follow_and_write(), 30)) == ["run_started", "step", "close"]


def test_who_comes_late_gets_a_small_start_with_all_that_matters(studio: Studio, at_hand: Path) -> None:
    log = at_hand / "events.jsonl"
    with log.open("w") as f:
        f.write(events.encode(began(30000)) + "\n")
        for n in range(1, 30001):
            f.write(events.encode(step(n, epoch=1 + n // 3000)) + "\n")
            if n % 3000 == 0:
                saved = events.CheckpointSaved(epoch=n // 3000, step=n, path="x")
                f.write(events.encode(saved) + "\n" + events.encode(events.Stage(name="sampling")) + "\n")
    end(studio)
    found = collect(studio)
    kinds = [one.kind for one in found]
    assert kinds.count("step") <= 700 and kinds.count("checkpoint") == 10 and kinds[0] == "run_started"
    last = next(one for one in reversed(found) if one.kind == "step")
    assert json.loads(last.data)["step"] > 29900


def test_a_place_that_is_none_begins_at_the_beginning(studio: Studio, at_hand: Path) -> None:
    told(at_hand, began(), step(1))
    end(studio)
    whole = [one.id for one in collect(studio)]
    for place in (3, 10**9, -5):
        assert [one.id for one in collect(studio, after=place)] == whole


def test_a_queued_run_is_waited_for(studio: Studio) -> None:
    async def wait_a_little() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(follow(studio, "mika")), 0.3)

    asyncio.run(wait_a_little())


def test_a_run_that_is_deleted_ends(studio: Studio, at_hand: Path) -> None:
    async def delete_meanwhile() -> Told:
        stream = follow(studio, "mika")
        following = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.1)
        run_bin.delete(studio, "mika")
        return await following

    assert json.loads(asyncio.run(asyncio.wait_for(delete_meanwhile(), 30)).data)["state"] in ("canceled", "deleted")


def test_lines_that_cannot_be_read_are_passed_over(studio: Studio, at_hand: Path) -> None:
    log = at_hand / "events.jsonl"
    told(at_hand, began())
    with log.open("a") as f:
        f.write("{half\n[1]\n" + '{"event": "probes", "train_loss": NaN, "per_image": []}\n' + '{"no": "kind"}\n')
    told(at_hand, step(1))
    end(studio)
    found = collect(studio)
    assert [one.kind for one in found] == ["run_started", "probes", "step", "close"]
    assert json.loads(found[1].data)["train_loss"] is None


def test_what_is_not_there_cannot_be_followed(studio: Studio) -> None:
    async def first() -> Told:
        return await anext(follow(studio, "nobody"))

    with pytest.raises(NotFound):
        asyncio.run(first())
