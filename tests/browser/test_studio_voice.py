"""From the microphone to a spoken sentence, in a browser that hears a recording in place of a microphone: all is real,
the recorder, the checks, the clone. On a desk with all that comes after; on a phone the short way."""

import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from likeness.studio import recordings, voices
from likeness.voices.audio import write_sound
from tests.browser.conftest import opened
from tests.browser.screens import keep
from tests.browser.serving import DESK, PHONE, StudioServer, complaints, find, overflow, unnamed, until, wide
from tests.browser.test_studio_datasets import click, worked
from tests.voices.recordings import speech

HEARD_SECONDS = 4.5
STOP = "document.querySelector('[data-do=stop]').click()"


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is heard, over and over: speech, very quiet, so that there is something to mend."""
    path = tmp_path_factory.mktemp("heard") / "speech.wav"
    write_sound(path, speech(6, rate=48_000) * 0.1, 48_000)
    return path


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, microphone: Path) -> Iterator[Chrome]:
    flags = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
             f"--use-file-for-fake-audio-capture={microphone}")  # fmt: skip
    with opened(tmp_path_factory.mktemp("profile"), *flags) as found:
        yield found


def recorded(page: Chrome, seconds: float) -> None:
    """Record for so long, hear that something is there, and use it."""
    click(page, "[data-do=record]")
    until(page, f"""const shown = document.querySelector('.record-time').textContent.split(':');
                    return 60 * shown[0] + Number(shown[1]) >= {seconds}""", "time goes on")  # fmt: skip
    page.execute_script(STOP)
    until(page, "return document.querySelector('record-sound audio').duration > 0", "it can be heard at once")
    click(page, "[data-do=use]")
    until(page, "return document.querySelector('#chosen [data-recording]')", "it is among the recordings")


@pytest.mark.long
@pytest.mark.parametrize("window", [DESK, PHONE], ids=["desk", "phone"])
def test_from_the_microphone_to_a_spoken_sentence(
    page: Chrome, studio_server: StudioServer, window: dict[str, object]
) -> None:
    studio_server.supervise()
    wide(page, window)
    page.get(f"{studio_server.address}/voices")
    click(page, "main a[href='/voices/new']")
    find(page, "record-sound [data-do=record]")
    recorded(page, HEARD_SECONDS)
    (found,) = recordings.recent(studio_server.studio)
    with wave.open(str(found.path)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2) and sound.getframerate() in (44_100, 48_000)
        assert abs(sound.getnframes() / sound.getframerate() - HEARD_SECONDS) < 3
    worked(page, "return document.querySelector('#chosen .finding')", "it is listened to")
    if window is DESK:
        click(page, f"#mend-{found.id}")
        worked(page, "return document.querySelector('[data-instead-of]')", "a mended copy comes in its place")
        copy = page.execute_script("return document.querySelector('[data-recording]').dataset.recording")
        until(page, f"return location.search.endsWith('{copy}')", "a reload keeps the copy")
    fill(page, "[name=speaker]", "Ada Byron")
    click(page, "[data-whose][value=mine]")
    until(page, "return document.querySelector('[name=consent]').value.startsWith('I am Ada Byron')")
    assert overflow(page) == 0 and unnamed(page) == []
    if window is DESK:
        keep(page, "studio-voice-new", height=1350)
    click(page, "#clone-it")
    worked(page, "return /^.voices.[0-9a-f]{12}$/.test(location.pathname)", "it is cloned, and shown")
    fill(page, "#text", "Good morning. The kettle is on.")
    click(page, "#say-it")
    worked(page, "return document.querySelector('.speech audio')?.duration > 1", "it is said")
    (voice,), _ = voices.listed(studio_server.studio)
    assert voice.name == "Ada Byron" and voices.record(studio_server.studio, voice).consent.statement.startswith("I am")
    assert voices.spoken(studio_server.studio, voice.id)[0][0].text == "Good morning. The kettle is on."
    assert overflow(page) == 0 and unnamed(page) == []
    if window is DESK:
        keep(page, "studio-voice", theme="dark", height=1150)
        heard_and_shelved(page, studio_server)
    assert complaints(page) == []


def heard_and_shelved(page: Chrome, server: StudioServer) -> None:
    """What it says is told as made speech; the voice is on the shelf, and heard there."""
    said = next((server.studio.jobs).glob("*/speech.wav"))
    page.get(f"{server.address}/voices/verify")
    find(page, "#zone button")
    page.find_element(By.CSS_SELECTOR, "#zone input[type=file]").send_keys(str(said))
    worked(page, "return document.querySelector('#verified').innerText.includes('It is made speech')", "it is told")
    page.get(f"{server.address}/voices")
    find(page, "#voices [data-hear]").click()
    until(page, "return document.querySelector('#voices [data-hear][aria-pressed=true]')", "it is heard")
    assert overflow(page) == 0 and unnamed(page) == []


def test_a_silent_or_forbidden_microphone_is_told(page: Chrome, studio_server: StudioServer) -> None:
    wide(page)
    page.get(f"{studio_server.address}/voices/new")
    for name, words in (("NotAllowedError", "may not use the microphone"), ("NotFoundError", "There is no microphone")):
        page.execute_script(
            "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', arguments[0]))", name
        )
        click(page, "[data-do=record]")
        until(page, f"return document.querySelector('.record-words').textContent.includes('{words}')", words)
    page.execute_script("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")
    click(page, "[data-do=record]")
    until(page, "return document.querySelector('.record-words').textContent.includes('127.0.0.1')", "https is needed")
    assert find(page, "[data-do=record]").is_displayed(), "it can be tried again"


def test_sentences_are_read_aloud_and_their_texts_come_along(
    page: Chrome, studio_server: StudioServer, tmp_path: Path, microphone: Path
) -> None:
    studio_server.supervise()
    page.get(f"{studio_server.address}/voices/train")
    first = find(page, "read-aloud li:not([hidden])").text
    recorded(page, 2)
    until(page, "return document.querySelector('read-aloud [role=status]').textContent === '2 of 30'")
    until(page, f"return document.querySelector('#chosen textarea').value === {first!r}", "its text is filled in")
    (tmp_path / "Take 1.wav").write_bytes(microphone.read_bytes())
    (tmp_path / "Take 1.txt").write_text("Said by somebody else.")
    page.find_element(By.CSS_SELECTOR, "#zone input[type=file]").send_keys(
        f"{tmp_path / 'Take 1.txt'}\n{tmp_path / 'Take 1.wav'}"
    )
    until(page, "return document.querySelectorAll('#chosen textarea')[1]?.value === 'Said by somebody else.'")
    fill(page, "[name=speaker]", "Ada Byron")
    click(page, "[data-whose][value=theirs]")
    worked(page, "return document.querySelector('#plan #start-button')", "it is planned by itself")
    assert "2 to learn from" in find(page, "#plan").text and overflow(page) == 0 and unnamed(page) == []
    assert complaints(page) == []


def fill(page: Chrome, css: str, text: str) -> None:
    field = find(page, css)
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", field)
    field.clear()
    field.send_keys(text)
