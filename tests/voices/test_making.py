import json
from pathlib import Path

import numpy as np
import pytest

from likeness.config.voice import Consent, VoiceRecord
from likeness.errors import InputError
from likeness.voices.audio import Clip, read_clip, write_sound
from likeness.voices.engine import Manner, Request, open_engine
from likeness.voices.making import make_voice, pieces, prepare_reference, read_voice, speak, verify, write_speech

CONSENT = Consent(statement="I am the speaker and agree.", recorded="2026-01-01T00:00:00Z")
ESPEAK = open_engine("espeak", Request())


@pytest.fixture(scope="module")
def voice(low: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, VoiceRecord]:
    folder = tmp_path_factory.mktemp("voices") / "ada"
    return folder, make_voice(folder, "ada", [low], ESPEAK, "espeak", "en-us", CONSENT)


def test_a_voice_is_a_folder_that_tells_all_about_itself(voice: tuple[Path, VoiceRecord]) -> None:
    folder, record = voice
    assert sorted(p.name for p in folder.iterdir()) == ["fit.npz", "reference.wav", "sample.wav", "voice.json"]
    assert read_voice(folder) == record and record.consent == CONSENT
    assert record.figures["pitch_error_semitones"] < 2.5
    assert verify(folder / "sample.wav")["provenance"]["voice"] == "ada"
    assert read_clip(folder / "reference.wav").seconds == pytest.approx(record.reference.seconds, abs=0.01)


def test_the_same_order_gives_the_same_bytes_and_says_where_they_come_from(
    voice: tuple[Path, VoiceRecord], tmp_path: Path
) -> None:
    folder, record = voice
    text = "The tide is out, and nobody is on the beach. Come along now, said the old man."
    for name in ("a.wav", "b.wav"):
        clip = speak(text, folder, record, ESPEAK, Manner())
        write_speech(tmp_path / name, clip, record, text, mark=True)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    told = verify(tmp_path / "a.wav")
    assert told["watermark"]["marked"] and told["provenance"]["voice"] == "ada"
    assert told["provenance"]["consent_sha256"] == CONSENT.sha256
    write_speech(tmp_path / "c.wav", clip, record, text, mark=False)
    told = verify(tmp_path / "c.wav")
    assert not told["watermark"]["marked"] and told["provenance"]["watermark"] is False


def test_a_recording_is_not_taken_for_made_speech(low: Path) -> None:
    told = verify(low)
    assert not told["watermark"]["marked"] and told["provenance"] is None


def test_nothing_is_written_where_the_recording_will_not_do(tmp_path: Path) -> None:
    write_sound(tmp_path / "hiss.wav", np.random.default_rng(0).normal(size=72_000) * 0.1, 24_000)
    with pytest.raises(InputError, match="speech"):
        make_voice(tmp_path / "v", "v", [tmp_path / "hiss.wav"], ESPEAK, "espeak", "en-us", CONSENT)
    assert [p.name for p in tmp_path.iterdir()] == ["hiss.wav"]


def test_several_recordings_make_one_reference(low: Path, tmp_path: Path) -> None:
    clip = read_clip(low)
    for number in range(3):
        part = clip.samples[number * 4 * clip.rate : (number + 1) * 4 * clip.rate]
        write_sound(
            tmp_path / f"{number}.wav", Clip(part, clip.rate).at(16_000 + 8_000 * number), 16_000 + 8_000 * number
        )
    reference, _ = prepare_reference(sorted(tmp_path.iterdir()))
    assert 9 < reference.seconds < 13


def test_long_texts_are_cut_after_sentences_and_lose_nothing() -> None:
    text = "One two three. " * 100 + "word " * 300 + "x" * 2000 + "\n\nEnd?"
    cut = pieces(text)
    assert max(map(len, cut)) <= 600 and len(cut) > 3
    assert "".join("".join(cut).split()) == "".join(text.split())
    assert cut[0].endswith(".")


def test_text_without_words_is_refused(voice: tuple[Path, VoiceRecord]) -> None:
    folder, record = voice
    with pytest.raises(InputError, match="nothing in it can be spoken"):
        speak(" … ", folder, record, ESPEAK, Manner())


def test_a_damaged_voice_is_told(voice: tuple[Path, VoiceRecord], tmp_path: Path) -> None:
    folder, record = voice
    (tmp_path / "voice.json").write_text(json.dumps({"name": "x"}))
    with pytest.raises(InputError, match="holds no voice"):
        read_voice(tmp_path)
    (tmp_path / "fit.npz").write_bytes((folder / "fit.npz").read_bytes()[:100])
    with pytest.raises(InputError, match="make the voice again"):
        ESPEAK.say("hello", tmp_path, record.values, Manner())
