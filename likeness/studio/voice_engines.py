"""The engines that voices of the studio speak with: what each needs, whether it is there, and its languages.

An engine of one's own ('script') is for the command line: here whoever asks would name a program to be run.
"""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from likeness.config.voice import ENGINES
from likeness.dataset.wording import one_line
from likeness.errors import InputError

OFFERED = ("espeak", "pocket")
_PACKAGES = {
    "espeak": {"soundfile": "voice", "espeakng_loader": "voice"},
    "pocket": {"soundfile": "voice", "torch": "train", "transformers": "train", "peft": "train"},
}


@dataclass(frozen=True)
class EngineHere:
    """`missing`: what to do so that it can be used here; empty where it can. `base`: whether it needs weights."""

    name: str
    title: str
    sounds: str
    needs: str
    base: bool
    missing: str


@dataclass(frozen=True)
class Language:
    """As espeak-ng calls it: a code such as 'en-us', and a name in English."""

    code: str
    name: str


def engines() -> list[EngineHere]:
    """Those that can be chosen, the default first."""
    found: list[EngineHere] = []
    for name in OFFERED:
        about = ENGINES[name]
        needs = about.needs.replace(" (--base)", " (base)")
        found.append(EngineHere(name, about.title, about.sounds, needs, name == "pocket", _missing(name)))
    return found


def check(engine: str, language: str, base: str | None) -> None:
    """Raises InputError where a voice cannot be made so, with what to do."""
    name = one_line(engine)[:40]
    if engine == "script":
        raise InputError(
            "engine: 'script' runs a program that is named, so it is for the command line alone. Fix: "
            f"`likeness voice clone --engine script`, or one of {', '.join(OFFERED)}"
        )
    if engine not in OFFERED:
        raise InputError(f"engine: there is no '{name}'. Fix: one of {', '.join(OFFERED)}")
    check_here(engine)
    if engine == "pocket" and not (base or "").strip():
        raise InputError("base: Pocket TTS needs its weights. Fix: name them, such as eustlb/pocket-tts")
    if engine == "espeak":
        if base:
            raise InputError("base: espeak needs none. Fix: leave it out, or choose the engine pocket")
        if (known := languages()) and language not in {one.code for one in known}:
            raise InputError(
                f"language: espeak-ng has no '{one_line(language)[:40]}'. Fix: take one of the list, such as en-us, de"
            )


def check_here(engine: str) -> None:
    """Raises InputError where an engine's packages are not there."""
    if missing := _missing(engine):
        raise InputError(f"engine: {engine} cannot be used here. Fix: {missing}")


def languages() -> list[Language]:
    """What the default engine speaks, by name; none where its package is not there."""
    spec = find_spec("espeakng_loader")
    return _languages(Path(spec.origin).parent / "espeak-ng-data" / "lang") if spec and spec.origin else []


@cache
def _languages(folder: Path) -> list[Language]:
    found: dict[str, str] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = code = ""
        for line in path.read_text("utf-8", "replace").splitlines():
            key, _, value = line.strip().partition(" ")
            if key == "name" and not name:
                name = value.partition("//")[0].strip()
            elif key == "language" and not code:  # of several the first: the others are near relatives
                code = value.split()[0]
        if code:
            found.setdefault(code, name or code)
    return sorted((Language(code, name) for code, name in found.items()), key=lambda one: one.name.lower())


def _missing(engine: str) -> str:
    extras = sorted({extra for package, extra in _PACKAGES.get(engine, {}).items() if find_spec(package) is None})
    return f"pip install 'likeness[{','.join(extras)}]'" if extras else ""
