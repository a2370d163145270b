from pathlib import Path

import pytest

from tests.voices.recordings import speech, write_lessons


@pytest.fixture(scope="session")
def low(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 s of a low voice at 24 kHz; leave it as it is."""
    from likeness.voices.audio import write_sound

    path = tmp_path_factory.mktemp("recordings") / "low.wav"
    write_sound(path, speech(12, "en-gb+m3", 30), 24_000)
    return path


@pytest.fixture(scope="session")
def high(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 s of a high voice; leave it as it is."""
    from likeness.voices.audio import write_sound

    path = tmp_path_factory.mktemp("recordings") / "high.wav"
    write_sound(path, speech(12, "en-gb+f3", 70), 24_000)
    return path


@pytest.fixture(scope="session")
def tiny_pocket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Pocket TTS of random weights; leave it as it is."""
    from tests.voices.tiny_pocket import make_tiny_pocket

    return make_tiny_pocket(tmp_path_factory.mktemp("pocket") / "tiny")


@pytest.fixture(scope="session")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four short recordings with their texts; leave them as they are."""
    return write_lessons(tmp_path_factory.mktemp("lessons") / "clips")
