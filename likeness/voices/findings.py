"""What is wrong with a recording, how much it matters, and what to do about it: a table over the figures."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from likeness.config.voice import LESSON_SECONDS
from likeness.voices.filters import Floats
from likeness.voices.quality import Quality, split_similarity
from likeness.voices.watermark import THRESHOLD

Severity = Literal["error", "warning", "advice"]
Mend = Literal["trim", "normalise", "resample", "denoise", "offset"]
Purpose = Literal["instant", "trained"]

INSTANT_SECONDS = 30.0  # more is not used: what a clone gains after that is little
LEAST_SPEECH = 3.0  # seconds
GOOD_SPEECH = 6.0
LEAST_RATE, GOOD_RATE = 16_000, 22_050  # Hz
QUIET, LOUD = -40.0, -9.0  # LUFS
LEAST_SNR, GOOD_SNR = 8.0, 16.0  # dB
CLIPPED, SPOILT = 0.0003, 0.02  # share of samples
NARROW = -45.0  # dB of treble
TONES, MUSIC = 0.04, 0.5  # share of frames
MUSIC_SNR = 12.0  # dB; softer music is a fault, louder music is what is heard
OTHER_SPEAKER = 4.5
TWO_PEOPLE = 0.72  # cosine of the means of two groups of vectors; one reader's stay above it
SILENT, LONG_PAUSE = 0.5, 2.0  # share; seconds
OFFSET = 0.005  # of full scale
TRAINED_MINUTES, GOOD_MINUTES = 1.0, 5.0  # of speech, all recordings together
TRAINED_SECONDS = LESSON_SECONDS[1]  # of one recording of a dataset


@dataclass(frozen=True)
class Finding:
    """`mend`: what `--fix` can do about it; None where only a new recording helps. Errors stop a clone."""

    check: str
    severity: Severity
    message: str
    fix: str
    mend: Mend | None = None


def findings(q: Quality, purpose: Purpose = "instant") -> list[Finding]:
    """Everything that should be known of one recording, the worst first."""
    order = {"error": 0, "warning": 1, "advice": 2}
    found = [*_voice(q, purpose), *_level(q), *_surroundings(q), *_file(q)]
    return sorted(found, key=lambda f: order[f.severity])


def _voice(q: Quality, purpose: Purpose) -> Iterator[Finding]:
    least = LEAST_SPEECH if purpose == "instant" else 1.0
    if q.speech_seconds < least or not q.pitch:
        yield Finding(
            "speech", "error", f"{q.speech_seconds:.1f} s of speech were found; {least:.0f} s are needed",
            "record 10 to 20 s of one person speaking, near the microphone",
        )  # fmt: skip
    elif purpose == "instant" and q.speech_seconds < GOOD_SPEECH:
        yield Finding(
            "speech", "warning", f"{q.speech_seconds:.1f} s of speech: a clone of so little is less alike",
            "10 to 20 s are better",
        )  # fmt: skip
    if q.seconds > (INSTANT_SECONDS if purpose == "instant" else TRAINED_SECONDS):
        whole = "the best part is used" if purpose == "instant" else "long recordings train badly"
        fix = "trim it to the best part" if purpose == "instant" else "cut it at pauses, with the text of each part"
        mend: Mend | None = "trim" if purpose == "instant" else None
        yield Finding(
            "length", "advice" if purpose == "instant" else "warning", f"{q.seconds:.0f} s; {whole}", fix, mend
        )
    if q.change > OTHER_SPEAKER:
        yield Finding(
            "speakers", "warning", "parts of it sound like different people",
            "keep the parts in which only the one person speaks; ignore this if that is all there is",
        )  # fmt: skip

    if q.mark >= THRESHOLD:
        yield Finding(
            "made speech", "warning", "it carries the mark of speech that a program made",
            "use a recording of the person: a clone of a clone is less alike",
        )  # fmt: skip


def speakers_by_vectors(vectors: Floats) -> list[Finding]:
    """The same question asked of a speaker encoder: one vector for each 1.6 s of speech."""
    if len(vectors) < 5:
        return []
    alike, share = split_similarity(vectors)
    if alike > TWO_PEOPLE or share * len(vectors) < 1.5:  # one odd moment is no other person
        return []
    what = f"{100 * share:.0f} % of the speech sounds like somebody else"
    return [Finding("speakers", "warning", what, "keep the parts in which only the one person speaks")]


def dataset_findings(speech_seconds: float, count: int) -> list[Finding]:
    """Of all recordings of a voice to be trained, together."""
    minutes = speech_seconds / 60
    if minutes >= GOOD_MINUTES:
        return []
    severe = minutes < TRAINED_MINUTES
    few = f"{count} recording{'s' if count != 1 else ''} with {minutes:.1f} minutes of speech"
    return [
        Finding(
            "amount", "warning" if severe else "advice",
            few, f"{GOOD_MINUTES:.0f} to 30 minutes train a better voice; for less, an instant clone is as good",
        )
    ]  # fmt: skip


def _level(q: Quality) -> Iterator[Finding]:
    if q.clipped >= CLIPPED:
        severe = q.clipped >= SPOILT
        yield Finding(
            "clipping", "error" if severe else "warning",
            f"{100 * q.clipped:.2g} % of it is clipped: recorded too loud",
            "record again at a lower level; what was cut off cannot be put back",
        )  # fmt: skip
    if q.loudness < QUIET:
        yield Finding("loudness", "warning", f"{q.loudness:.0f} LUFS: very quiet", "normalise it", "normalise")
    elif q.loudness > LOUD:
        yield Finding("loudness", "advice", f"{q.loudness:.0f} LUFS: very loud", "normalise it", "normalise")
    if abs(q.offset) > OFFSET:
        yield Finding("offset", "advice", f"a constant {q.offset:+.3f} lies under the sound", "take it off", "offset")


def _surroundings(q: Quality) -> Iterator[Finding]:
    if q.tones >= TONES:
        severe = q.tones >= MUSIC and q.snr < MUSIC_SNR
        yield Finding(
            "music", "error" if severe else "warning",
            f"tones that hold their pitch sound in {100 * q.tones:.0f} % of it: music, or a hum",
            "record again where it is still; the clone would learn it as part of the voice",
        )  # fmt: skip
    if q.speech_seconds and q.snr < GOOD_SNR:
        severe = q.snr < LEAST_SNR
        yield Finding(
            "noise", "error" if severe else "warning", f"the speech is only {q.snr:.0f} dB above the background",
            "record again where it is still" if severe else "denoise it, or record again where it is still",
            None if severe else "denoise",
        )  # fmt: skip
    if q.speech_seconds and (q.silence > SILENT or q.longest_pause > LONG_PAUSE):
        yield Finding("silence", "advice", f"{100 * q.silence:.0f} % of it is silence", "trim it", "trim")


def _file(q: Quality) -> Iterator[Finding]:
    if q.rate < LEAST_RATE:
        yield Finding(
            "sample rate", "error", f"{q.rate} Hz, as on a telephone: all above {q.rate // 2000} kHz is missing",
            "record again with 24 kHz or more; resampling brings nothing back",
        )  # fmt: skip
    elif q.speech_seconds and q.treble < NARROW:
        yield Finding(
            "band", "warning", "nothing sounds above 4 kHz: it went over a telephone, or was compressed hard",
            "use the original recording",
        )  # fmt: skip
    elif q.rate < GOOD_RATE:
        yield Finding("sample rate", "advice", f"{q.rate} Hz: a little dull", "24 kHz or more are better")
    if q.rate > 48_000 or q.channels > 1:
        what = f"{q.rate} Hz, {q.channels} channels: more than is used"
        yield Finding("format", "advice", what, "resample it to 24 kHz, mono", "resample")
    if q.encoding in ("PCM_U8", "PCM_S8", "ULAW", "ALAW"):
        yield Finding("bits", "warning", "8 bits a sample: it hisses", "use the original recording")
