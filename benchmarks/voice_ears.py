"""Who listens: a speaker encoder for likeness, a recogniser with a small grammar for clarity. Neither is the product's.

Both come from PyPI packages that carry their weights: the encoder of Resemblyzer (Apache-2.0; the file alone is used),
and PocketSphinx (BSD) with its American English model.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from likeness.errors import InputError
from likeness.voices.encoders import Encoder, open_encoder
from likeness.voices.filters import Floats
from likeness.voices.words import word_error_rate

# Sentences of five words, each from ten: as in audiology, nothing can be guessed from the rest. Chance is 90 % wrong.
SLOTS = tuple(
    slot.split()
    for slot in (
        "allen doris kathy lucy nina peter rachel steven thomas william",
        "bought gives got has kept ordered prefers sees sold wants",
        "two three four five six seven eight nine twelve sixty",
        "big cheap dark green heavy large old pretty red small",
        "beds chairs desks flowers houses rings shoes spoons tables windows",
    )
)


def encoder() -> Encoder:
    """Raises InputError where the package is not there."""
    found = importlib.util.find_spec("resemblyzer")  # not imported: it wants librosa and a compiler
    if found is None or not found.submodule_search_locations:
        raise InputError("the speaker encoder is missing. Fix: pip install --no-deps resemblyzer")
    return open_encoder(Path(next(iter(found.submodule_search_locations))) / "pretrained.pt")


def sentences(count: int) -> list[str]:
    """The same every time."""
    rng = np.random.default_rng(5)
    return [" ".join(slot[int(rng.integers(10))] for slot in SLOTS) for _ in range(count)]


def recogniser() -> Callable[[Floats], str]:
    """Hears nothing but such sentences. Raises InputError where the package is not there."""
    try:
        import pocketsphinx  # pyright: ignore[reportMissingImports]
    except ImportError as e:
        raise InputError("the recogniser is missing. Fix: pip install --no-deps pocketsphinx") from e
    sphinx: Any = pocketsphinx
    decoder = sphinx.Decoder(sphinx.Config(loglevel="FATAL", lm=None))
    grammar = " ".join(f"({'|'.join(slot)})" for slot in SLOTS)
    decoder.add_jsgf_string("matrix", f"#JSGF V1.0; grammar m; public <s> = {grammar};")
    decoder.activate_search("matrix")

    def hear(x: Floats) -> str:
        """Of sound at 16 kHz, with a little noise, as a microphone has."""
        silence = np.zeros(6400)
        x = np.concatenate([silence, x, silence])
        x = x / max(float(np.abs(x).max()), 1e-9) * 0.5 + np.random.default_rng(0).normal(size=len(x)) * 1e-3
        decoder.start_utt()
        decoder.process_raw((np.clip(x, -1, 1) * 32767).astype(np.int16).tobytes(), full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        return found.hypstr if found else ""

    return hear


def words_lost(say: Callable[[str], Floats], hear: Callable[[Floats], str], count: int) -> float:
    """Share of words that were not understood."""
    return word_error_rate([(text, hear(say(text))) for text in sentences(count)])
