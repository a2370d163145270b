import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks import voice_ears, voice_faults, voice_marks, voice_readers
from benchmarks.voice_readers import PARTS, RATE
from likeness.errors import InputError
from likeness.voices.audio import write_sound
from tests.voices.recordings import speech


def test_readers_are_fetched_once_and_need_two_recordings_more_than_the_reference(tmp_path: Path) -> None:
    source = tmp_path / "source"
    clip = speech(10, rate=RATE)
    for reader, count in (("1", 6), ("2", 3)):
        for n in range(count):
            write_sound(source / PARTS[0] / reader / f"{n}.flac", clip, RATE)
    write_sound(source / PARTS[1] / "a.flac", clip, RATE)
    write_sound(source / "other" / "large.flac", clip, RATE)
    identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(source), *command], check=True)
    place = voice_readers.fetch(f"file://{source}", tmp_path / "cache")
    assert not (place / "other").exists()
    readers = voice_readers.read_readers(place / PARTS[0], 10)
    assert [r.name for r in readers] == ["1"]
    assert len(readers[0].reference) == 20 * RATE and len(readers[0].held_out) == 4
    assert len(voice_readers.read_cohort(place / PARTS[1])) == 1
    assert voice_readers.fetch("nowhere", tmp_path / "cache") == place


def test_what_cannot_be_fetched_is_told_with_another_way(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--recordings"):
        voice_readers.fetch(f"file://{tmp_path}/nothing", tmp_path / "cache")


def test_sentences_are_the_same_every_time_and_cannot_be_guessed() -> None:
    told = voice_ears.sentences(200)
    assert told == voice_ears.sentences(200) and all(len(t.split()) == 5 for t in told)
    assert all(len({t.split()[slot] for t in told}) == 10 for slot in range(5))


def test_faults_and_changes_change_something() -> None:
    x, other = speech(4, rate=RATE), speech(4, "en-us+f5", 80, RATE)
    for name, (_, plant) in voice_faults.FAULTS.items():
        spoilt = plant(x, other, 1)
        assert len(spoilt) != len(x) or not np.array_equal(spoilt, x), name
    for name, change in voice_marks.ATTACKS.items():
        changed = change(x)
        assert np.isfinite(changed).all() and (name == "nothing") == np.array_equal(changed, x), name
