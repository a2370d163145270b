"""How like the speaker and how clear are cloned voices, how often are the checks right, what does the mark survive?

make voice-quality
python -m benchmarks.voice_quality --recordings synthetic --readers 4
python -m benchmarks.voice_quality --base path/to/pocket-tts --json voices.json
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one core, as the table says
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import resource
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import voice_ears, voice_faults, voice_marks, voice_readers
from benchmarks.voice_readers import RATE, Reader
from likeness import durable
from likeness.config.voice import REFERENCE
from likeness.errors import LikenessError
from likeness.voices import differential, mending, pitch
from likeness.voices.audio import Clip, write_sound
from likeness.voices.differential import Settings, speak
from likeness.voices.encoders import Encoder
from likeness.voices.engine import Manner, Request, open_engine
from likeness.voices.filters import Floats

Say = Callable[[str], Floats]  # text -> speech at 16 kHz
Learn = Callable[[Reader], Say]
TEXTS = (
    "A thin white fog lay over the fields all morning.",
    "Please carry these two boxes up to the second floor.",
    "Nobody in the village could remember a colder spring.",
    "The cook forgot the salt, so the soup was rather plain.",
    "Seven small boats were waiting outside the harbour.",
    "My sister learned to play this song on her old guitar.",
    "You may leave your wet shoes and coats by the door.",
    "They followed the road until it ended at the river.",
)


def cpu() -> float:
    """Seconds of this process and of those it has waited for: espeak-ng is one."""
    use = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in use)


def plain(reader: Reader) -> Say:
    """espeak-ng as it is."""
    return lambda text: speak(text, Settings("en-us"))


def prosody(reader: Reader) -> Say:
    """Its pitch, range and pace alone set to the speaker's."""
    settings = differential.fit(reader.reference).settings
    return lambda text: speak(text, settings)


def cloned(reader: Reader) -> Say:
    """The default engine."""
    return differential.fit(reader.reference).say


def pocket(base: str) -> Learn:
    """Pocket TTS with the given weights."""
    engine = open_engine("pocket", Request(base=base))

    def learn(reader: Reader) -> Say:
        folder = Path(tempfile.mkdtemp())
        reference = Clip(mending.trim(reader.reference, RATE), RATE)
        write_sound(folder / REFERENCE, reference.samples, RATE)
        values = engine.learn(reference, folder)
        return lambda text: engine.say(text, folder, values, Manner(seed=1)).at(RATE)

    return learn


def measure(
    learn: Learn,
    readers: Sequence[Reader],
    faces: dict[str, Floats],
    others: Floats,
    encode: Encoder,
    hear: Any,
    words: int,
) -> dict[str, float]:
    """Means over the readers."""
    rows: list[dict[str, float]] = []
    for reader in readers:
        began = cpu()
        say = learn(reader)
        fit = cpu() - began
        began = cpu()
        said = [say(text) for text in TEXTS]
        spent = cpu() - began
        seconds = sum(map(len, said)) / RATE
        vectors = [encode(np.concatenate([a, b])) for a, b in zip(said[::2], said[1::2], strict=True)]
        own = faces[reader.name]
        rivals = np.stack([*others, *(face for name, face in faces.items() if name != reader.name)])
        ranks = [1 + int((rivals @ v > v @ own).sum()) for v in vectors]
        target = np.concatenate([pitch.log_pitch(pitch.track(x)) for x in reader.held_out[:3]])
        spoken = np.concatenate([pitch.log_pitch(pitch.track(x)) for x in said])
        off = pitch.mean_and_range(spoken)[0] - pitch.mean_and_range(target)[0]
        rows.append({
            "similarity": float(np.mean([v @ own for v in vectors])),
            "to others": float(np.mean([v @ f for v in vectors for n, f in faces.items() if n != reader.name])),
            "found first": float(np.mean([rank == 1 for rank in ranks])),
            "rank": float(np.median(ranks)),
            "pitch error": abs(pitch.semitones(off)),
            "words lost": voice_ears.words_lost(say, hear, words),
            "times faster": seconds / max(spent, 1e-6),
            "seconds to learn": fit,
        })  # fmt: skip
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def yardsticks(readers: Sequence[Reader], faces: dict[str, Floats], encode: Encoder) -> dict[str, float]:
    """How like are pieces of a reader's own reference and of others', as long as what is said in the test; and where do
    as many of one lie below as of the other above?"""
    size = 5 * RATE
    pieces = {r.name: [r.reference[a : a + size] for a in range(0, len(r.reference) - size + 1, size)] for r in readers}
    vectors = {name: [encode(x) for x in own] for name, own in pieces.items()}
    same = np.array([v @ faces[name] for name, own in vectors.items() for v in own])
    other = np.array([v @ faces[b] for a, own in vectors.items() for v in own for b in faces if a != b])
    places = np.linspace(0, 1, 1001)
    gap = [abs(float((other >= t).mean()) - float((same < t).mean())) for t in places]
    best = np.flatnonzero(np.array(gap) <= min(gap) + 1e-12)
    return {
        "same reader": float(same.mean()),
        "other readers": float(other.mean()),
        "threshold of equal error": float(places[best].mean()),
    }


def show(console: Console, table: dict[str, dict[str, float]], count: int, cohort: int) -> None:
    """The main table."""
    drawn = Table(title=f"{count} readers, each with sentences that were not in the recording", title_justify="left")
    drawn.add_column("engine")
    forms = {
        "similarity": "{:.3f}", "to others": "{:.3f}", "found first": "{:.0%}", "rank": "{:.1f}",
        "pitch error": "{:.1f}", "words lost": "{:.1%}", "times faster": "{:.0f}", "seconds to learn": "{:.1f}",
    }  # fmt: skip
    for name in forms:
        drawn.add_column(f"{name} of {cohort}" if name in ("found first", "rank") else name, justify="right")
    for engine, row in table.items():
        drawn.add_row(engine, *(form.format(row[name]) for name, form in forms.items()))
    console.print(drawn)


def run(arguments: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Measure, show, and return all figures."""
    made_up = arguments.recordings == "synthetic"
    if made_up:
        readers, cohort = voice_readers.make_readers(arguments.readers), list[Floats]()
        console.print(
            "Speakers are made up by espeak-ng: this shows that pitch and timbre are carried over, and nothing"
        )
        console.print("of how well human voices are met.\n")
    else:
        folder = (
            Path(arguments.recordings)
            if arguments.recordings
            else voice_readers.fetch(arguments.source, arguments.cache)
        )
        fetched = (folder / voice_readers.PARTS[0]).is_dir()
        readers = voice_readers.read_readers(folder / voice_readers.PARTS[0] if fetched else folder, arguments.readers)
        cohort = voice_readers.read_cohort(folder / voice_readers.PARTS[1]) if fetched else []
    encode, hear = voice_ears.encoder(), voice_ears.recogniser()
    faces = {r.name: _mean([encode(x) for x in r.held_out]) for r in readers}
    others = np.stack([encode(x) for x in cohort]) if cohort else np.zeros((0, 256))
    result: dict[str, Any] = {"readers": len(readers), "yardsticks": yardsticks(readers, faces, encode)}
    for name, value in result["yardsticks"].items():
        console.print(f"{name}: {value:.3f}")
    engines: dict[str, Learn] = {
        "espeak-ng as it is": plain,
        "+ pitch, range and pace": prosody,
        "espeak (default)": cloned,
    }
    if arguments.base:
        engines["pocket"] = pocket(arguments.base)
    result["engines"] = {
        name: measure(learn, readers, faces, others, encode, hear, arguments.sentences)
        for name, learn in engines.items()
    }
    show(console, result["engines"], len(readers), len(others) + len(readers))
    speech = [mending.normalise(x, RATE) for x in (cohort or [x for r in readers for x in r.held_out])]
    result["checks"] = voice_faults.run(readers, [x for x in speech if len(x) > 8 * RATE], console)
    result["watermark"] = voice_marks.run([cloned(r) for r in readers[:6]], speech, TEXTS, arguments.keys, console)
    return result


def _mean(vectors: Sequence[Floats]) -> Floats:
    mean = np.mean(vectors, axis=0)
    return mean / np.linalg.norm(mean)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--recordings", help="folder with a folder of recordings per reader, or 'synthetic'; else fetched"
    )
    parser.add_argument("--source", default=voice_readers.SOURCE, help="git repository that they are fetched from")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "likeness" / "voice-quality")
    parser.add_argument("--readers", type=int, default=10)
    parser.add_argument("--sentences", type=int, default=10, help="of five words, for the words lost")
    parser.add_argument("--keys", type=int, default=40, help="wrong patterns looked for in each recording")
    parser.add_argument("--base", help="weights of Pocket TTS, to measure it too")
    parser.add_argument("--json", type=Path, help="write all figures here")
    chosen = parser.parse_args(arguments)
    try:
        result = run(chosen, Console())
    except LikenessError as e:
        print(e, file=sys.stderr)
        return e.exit_code
    if chosen.json:
        durable.write_text(chosen.json, json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
