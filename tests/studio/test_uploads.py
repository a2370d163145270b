import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from likeness.errors import Conflict, InputError, NotFound
from likeness.studio import uploads
from likeness.studio.workspace import Studio

OWNER = "dataset:abc"
MOST = 1000


def send(studio: Studio, data: bytes, offset: int = 0, total: int = 10, name: str = "a.png") -> None:
    with uploads.going_on(studio, OWNER, name, total, offset, MOST) as incoming:
        incoming.write(data)


def test_an_upload_goes_on_where_it_was_cut_off(studio: Studio) -> None:
    with pytest.raises(ConnectionError), uploads.going_on(studio, OWNER, "a.png", 10, 0, MOST) as incoming:
        incoming.write(b"01234")
        raise ConnectionError
    assert uploads.find(studio, OWNER, "a.png", 10).received == 5
    with uploads.going_on(studio, OWNER, "a.png", 10, 5, MOST) as incoming:
        incoming.write(b"56789")
        assert incoming.whole
        incoming.flush()
        assert incoming.path.read_bytes() == b"0123456789"
        uploads.end(studio, OWNER, incoming, result={"pictures": ["a.png"]})
    ended = uploads.find(studio, OWNER, "a.png", 10)
    assert ended.ended and ended.received == 10 and ended.result == {"pictures": ["a.png"]}
    assert uploads.listed(studio, OWNER) == [ended] and uploads.listed(studio, "dataset:other") == []


def test_from_0_it_begins_anew(studio: Studio) -> None:
    send(studio, b"01234")
    send(studio, b"ab")
    assert uploads.find(studio, OWNER, "a.png", 10).received == 2


def test_a_wrong_offset_is_told_with_the_right_one(studio: Studio) -> None:
    with pytest.raises(Conflict, match="send it from 0"):
        send(studio, b"5", offset=5)
    send(studio, b"01234")
    with pytest.raises(Conflict, match="5 bytes have arrived, not 7"):
        send(studio, b"7", offset=7)
    assert uploads.find(studio, OWNER, "a.png", 10).received == 5


def test_more_than_was_told_or_is_taken_is_refused(studio: Studio) -> None:
    with pytest.raises(InputError, match="more bytes than were told"):
        send(studio, b"01234567890")
    with pytest.raises(InputError, match="at most 1,000 are taken"):
        send(studio, b"", total=1001)
    with pytest.raises(InputError, match="more bytes"), uploads.receiving(studio, "a.png", 5) as incoming:
        incoming.write(b"012345")


def test_two_senders_of_one_upload_do_not_mix(studio: Studio) -> None:
    with uploads.going_on(studio, OWNER, "a.png", 10, 0, MOST) as incoming:
        incoming.write(b"01234")
        with pytest.raises(uploads.Busy, match="being sent by another"):
            send(studio, b"x")
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(uploads.find, studio, OWNER, "other.png", 10).exception() is not None
    assert uploads.find(studio, OWNER, "a.png", 10).received == 5


def test_names_cannot_lead_out_of_the_folder(studio: Studio) -> None:
    for name in ("../../evil", "/etc/passwd", "a\0b", "\udce4", "x" * 5000):
        send(studio, b"0", name=name)
        assert uploads.find(studio, OWNER, name, 10).name == name
    assert not list(Path(studio.workspace).rglob("evil"))
    inside = studio.uploads.resolve()
    assert all(p.resolve().is_relative_to(inside) for p in studio.workspace.rglob("data"))


def test_a_file_in_one_go_leaves_nothing_behind(studio: Studio, tmp_path: Path) -> None:
    with uploads.receiving(studio, "a.png", MOST) as incoming:
        incoming.write(b"0123")
        incoming.flush()
        os.replace(incoming.path, tmp_path / "kept")
    with pytest.raises(ValueError), uploads.receiving(studio, "a.png", MOST) as incoming:
        raise ValueError
    assert (tmp_path / "kept").read_bytes() == b"0123" and list(studio.uploads.iterdir()) == []


def test_a_disk_that_is_too_full_is_told_before_anything_is_sent(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "SPARE_BYTES", 1 << 60)
    with pytest.raises(OSError, match="No space left"):
        send(studio, b"0")
    with pytest.raises(NotFound):
        uploads.find(studio, OWNER, "a.png", 10)


def test_what_nobody_goes_on_with_is_swept(studio: Studio) -> None:
    send(studio, b"01", name="old.png")
    send(studio, b"01", name="new.png")
    (studio.uploads / "unpack-xyz").mkdir()
    (studio.uploads / "left.part").write_bytes(b"0")
    assert uploads.sweep(studio) == 0
    long_ago = time.time() - uploads.KEEP_SECONDS - 1
    old = next(p.parent for p in studio.uploads.rglob("upload.json") if "old.png" in p.read_text())
    for path in (*old.iterdir(), old, studio.uploads / "unpack-xyz", studio.uploads / "left.part"):
        os.utime(path, (long_ago, long_ago))
    assert uploads.sweep(studio) == 3
    assert [u.name for u in uploads.listed(studio, OWNER)] == ["new.png"]


def test_what_was_cut_off_is_told_and_can_be_forgotten(studio: Studio) -> None:
    send(studio, b"01", name="a.png")
    assert [u.name for u in uploads.unfinished(studio, OWNER)] == ["a.png"]
    assert uploads.unfinished(studio, OWNER, for_seconds=3600) == []
    with uploads.going_on(studio, OWNER, "b.png", 1, 0, MOST) as incoming:
        incoming.write(b"0")
        incoming.flush()
        uploads.end(studio, OWNER, incoming, result={})
    with uploads.going_on(studio, OWNER, "c.png", 10, 0, MOST) as incoming:
        uploads.forget(studio, OWNER)
        incoming.write(b"0123456789")
        assert incoming.whole and incoming.path.exists()
    assert [u.name for u in uploads.listed(studio, OWNER)] == ["c.png"]


def test_only_so_many_are_remembered(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_KEPT", 4)
    for number in range(8):
        with uploads.going_on(studio, OWNER, f"{number}.png", 1, 0, MOST) as incoming:
            incoming.write(b"0")
            uploads.end(studio, OWNER, incoming, result={})
    assert len(uploads.listed(studio, OWNER)) <= 4
