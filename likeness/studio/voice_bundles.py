"""One file that carries a voice elsewhere: `.likeness-voice`, a sealed zip of its record with the consent, the
reference, a sample and what its engine keeps.

A voice is data here, never a program: no bundle names an engine of one's own, a script or a place on a disk, and of an
adapter's settings only those are taken that trained voices have.
"""

import json
import re
import tempfile
import wave
import zipfile
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from likeness import durable
from likeness.config.voice import RECORD, REFERENCE, SAMPLE, VoiceRecord
from likeness.dataset.wording import one_line
from likeness.errors import InputError
from likeness.report.history import mapping
from likeness.service.voices import consent_of
from likeness.store.tables import Voice, new_id
from likeness.studio import model_cards, models, sealed, trust, voices
from likeness.studio.file_names import file_stem
from likeness.studio.sealed import Part, Seal, bad, read_json
from likeness.studio.uploads import Incoming
from likeness.studio.workspace import Studio

SUFFIX = ".likeness-voice"
SUFFIXES = (SUFFIX, ".zip")  # that a bundle may have come with: some programs call it what it is
CARD, FIT, ADAPTER, ADAPTER_CONFIG = "card.json", "fit.npz", "adapter_model.safetensors", "adapter_config.json"
MOST_BYTES = 1 << 30
MOST_RECORD_BYTES = 64 << 10
LONGEST = 60.0  # seconds of the reference and of the sample; what is made here has half of it
_FILES = (RECORD, CARD, REFERENCE, SAMPLE, FIT, ADAPTER, ADAPTER_CONFIG)
SEAL = Seal("likeness-voice", 1, re.compile("|".join(map(re.escape, _FILES))), MOST_BYTES, len(_FILES) + 1)
_KEPT = {"espeak": (FIT,), "pocket": (ADAPTER, ADAPTER_CONFIG)}  # by the engines, besides the reference
_ESPEAK_VOICE = re.compile(r"[a-z0-9-]{2,40}(\+[a-z0-9]{1,20})?")
_ADAPTER: dict[str, tuple[type, ...]] = {  # settings of an adapter, with what each may be; all others are left out
    "peft_type": (str,), "r": (int,), "lora_alpha": (int, float), "lora_dropout": (int, float), "bias": (str,),
    "target_modules": (str,), "use_rslora": (bool,), "inference_mode": (bool,), "fan_in_fan_out": (bool,),
}  # fmt: skip
# The layers that an adapter acts on, as voices.training writes them: any other pattern could take forever.
_TARGETS = re.compile(re.escape(r".*model\.layers\.\d+\..*\.(") + r"(\w{1,40}\|){0,20}\w{1,40}" + re.escape(")"))


# --- going out


def write(studio: Studio, voice_id: str, target: Path) -> Path:
    """Write a voice's bundle to `target`. Raises NotFound, InputError for a voice that cannot leave, OSError for a full
    disk."""
    voice = voices.get(studio, voice_id)
    record, folder = voices.record(studio, voice), studio.voices / voice.id
    if record.engine not in _KEPT:
        raise InputError(f"voice: '{voice.name}' speaks with a program of its own. Fix: copy its folder by hand")
    card = {"name": voice.name, "description": voice.description, "tags": voice.tags, "epoch": voice.epoch}
    values = dict(record.values)
    if trust.is_place(str(values.get("base") or "")):
        values["base"] = ""  # a folder of this machine: whoever imports it names their own
    told = record.model_copy(update={"values": values})
    # The sounds come last: who reads half of a bundle should not take the zip in FIT for the whole.
    names = (*_KEPT[record.engine], SAMPLE, REFERENCE)
    parts: list[Part] = [
        (RECORD, model_cards.as_json(told.model_dump(mode="json")).encode()),
        (CARD, model_cards.as_json(card).encode()),
        *((name, _part(folder, name)) for name in names if (folder / name).is_file()),
    ]
    return sealed.write(SEAL, target, parts)


def _part(folder: Path, name: str) -> Path | bytes:
    return _adapter_config(folder).encode() if name == ADAPTER_CONFIG else folder / name


def file_name(voice: Voice) -> str:
    """What its bundle is called."""
    return f"{file_stem(voice.name, 'voice')}{SUFFIX}"


# --- coming in


def import_bundle(studio: Studio, incoming: Incoming, base: str | None = None) -> Voice:
    """Check a bundle whole and put its voice into the library. `base`: where the voice speaks with Pocket TTS and does
    not tell where its weights are.

    Raises InputError for a bundle that is damaged, changed, or other than Likeness writes them, and for one without
    consent. Nothing is kept then.
    """
    if not incoming.name.lower().endswith(SUFFIXES):
        raise InputError(f"file: {one_line(incoming.name)[:100]} is no bundle of a voice. Fix: give a {SUFFIX} file")
    incoming.flush()
    studio.uploads.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=durable.PARTIAL, dir=studio.uploads) as made:
        folder = Path(made)
        names = sealed.unpack(SEAL, incoming.path, folder)
        if missing := {RECORD, CARD, REFERENCE} - names.keys():
            raise bad(f"lacks {', '.join(sorted(missing))}")
        record = _record(folder)
        record = record.model_copy(update={"values": _values(record, base)})
        _check_files(record.engine, folder, set(names))
        voice = _voice(read_json(folder / CARD))
        kept = [name for name in names if name not in (RECORD, CARD)]

        def fill(partial: Path) -> None:
            for name in kept:
                models.copy_file(folder / name, partial / name)
            if ADAPTER_CONFIG in kept:
                durable.write_text(partial / ADAPTER_CONFIG, _adapter_config(folder))
            durable.write_text(partial / RECORD, record.model_dump_json(indent=2))

        durable.write_folder(studio.voices / voice.id, fill)
    return voices.add(studio, voice)


def _record(folder: Path) -> VoiceRecord:
    if (folder / RECORD).stat().st_size > MOST_RECORD_BYTES:
        raise bad(f"{RECORD}: is longer than any voice's")
    tree = read_json(folder / RECORD)
    statement = mapping(tree.get("consent")).get("statement")
    try:
        consent_of(statement if isinstance(statement, str) else "")
    except InputError:
        raise InputError("bundle: its voice comes without a statement of consent. Fix: ask for one that has it; a "
                         "voice is used only where the person agreed") from None  # fmt: skip
    if tree.get("engine") == "script":
        raise InputError("bundle: its voice speaks with a program of its own, which is never taken from elsewhere. "
                         "Fix: ask for a voice of espeak or pocket")  # fmt: skip
    try:
        return VoiceRecord.model_validate_json(json.dumps(tree))
    except ValidationError as e:
        found = e.errors()[0]
        place = ".".join(map(str, found["loc"]))
        raise bad(f"{RECORD}: '{one_line(place)[:60]}' is not as Likeness writes it") from e


def _values(record: VoiceRecord, base: str | None) -> dict[str, Any]:
    """What its engine is given: nothing but what such a voice has."""
    if record.engine == "espeak":
        if base:
            raise InputError("base: this voice needs none. Fix: leave it out")
        return _espeak_values(record.values)
    if record.values.keys() - {"base", "run", "epoch"}:
        raise bad(f"{RECORD}: 'values' are not as Likeness writes them")
    told = record.values.get("base")
    wanted = base or (told if isinstance(told, str) else "")
    if not base and (not wanted or trust.is_place(wanted)):
        raise InputError("base: the bundle does not tell where its Pocket TTS is; it lay in a folder of the machine "
                         "that it comes from. Fix: name it as `base`, such as eustlb/pocket-tts")  # fmt: skip
    trust.check("base", wanted)
    if len(wanted) > 500 or one_line(wanted) != wanted:
        raise bad(f"{RECORD}: 'base' is no name")
    epoch, run = record.values.get("epoch"), record.values.get("run")
    return {"base": wanted, **({"epoch": epoch} if type(epoch) is int else {}),
            **({"run": one_line(run)[:100]} if isinstance(run, str) else {})}  # fmt: skip


def _espeak_values(values: dict[str, Any]) -> dict[str, Any]:
    settings, hertz = mapping(values.get("espeak")), values.get("hertz")
    numbers = ("rate", "pitch", "range")
    sound = (
        values.keys() == {"espeak", "hertz"}
        and settings.keys() == {"voice", *numbers}
        and isinstance(settings["voice"], str)
        and _ESPEAK_VOICE.fullmatch(settings["voice"])
        and all(type(settings[name]) is int and 0 <= settings[name] <= 1000 for name in numbers)
        and isinstance(hertz, int | float)
        and 20 <= hertz <= 2000
    )
    if not sound:
        raise bad(f"{RECORD}: 'values' are not as Likeness writes them")
    return values


def _check_files(engine: str, folder: Path, names: set[str]) -> None:
    """What the engine needs is there, what it does not know is not, and nothing unpacks to more than it is."""
    own = set(_KEPT[engine])
    if names - {RECORD, CARD, REFERENCE, SAMPLE} - own:
        raise bad("holds files that its engine does not know")
    if (engine == "espeak" and FIT not in names) or len(names & {ADAPTER, ADAPTER_CONFIG}) == 1:
        raise bad("lacks what its engine needs to speak")
    for name in {REFERENCE, SAMPLE} & names:
        _check_sound(folder / name)
    if FIT in names:
        _check_arrays(folder / FIT)
    if ADAPTER_CONFIG in names:
        _adapter_config(folder)


def _check_sound(path: Path) -> None:
    try:
        with wave.open(str(path)) as sound:
            shape = (sound.getnchannels(), sound.getsampwidth(), 8_000 <= sound.getframerate() <= 192_000)
            seconds = sound.getnframes() / sound.getframerate()
    except (OSError, EOFError, wave.Error, ZeroDivisionError, ValueError, RuntimeError) as e:
        raise bad(f"{path.name}: is no sound") from e
    if shape != (1, 2, True) or not 0 < seconds <= LONGEST:
        raise bad(f"{path.name}: is not as Likeness writes it")


def _check_arrays(path: Path) -> None:
    """numpy's own zip: plain arrays, not packed."""
    try:
        with zipfile.ZipFile(path) as pack:
            infos = pack.infolist()
    except Exception as e:  # readers meet hostile bytes with many kinds of error
        raise bad(f"{path.name}: is damaged") from e
    packed = any(i.compress_type != zipfile.ZIP_STORED or i.compress_size != i.file_size for i in infos)
    if packed or len(infos) > 40 or sum(i.file_size for i in infos) > path.stat().st_size:
        raise bad(f"{path.name}: is not as Likeness writes it")
    if not all(re.fullmatch(r"[a-z]+\.[a-z_]+\.npy", i.filename) for i in infos):
        raise bad(f"{path.name}: is not as Likeness writes it")


def _adapter_config(folder: Path) -> str:
    """The adapter's settings, made anew: others of the library's could import modules or read files."""
    tree = read_json(folder / ADAPTER_CONFIG)
    told = {key: tree[key] for key in _ADAPTER if key in tree}
    sound = (
        told.get("peft_type") == "LORA"
        and all(isinstance(value, _ADAPTER[key]) for key, value in told.items())
        and _TARGETS.fullmatch(str(told.get("target_modules")))
    )
    if not sound:
        raise bad(f"{ADAPTER_CONFIG}: is not as Likeness writes it")
    return json.dumps(told, indent=2, sort_keys=True)


def _voice(card: dict[str, Any]) -> Voice:
    """Its row, as far as people say things of it."""
    name, description, tags, epoch = (card.get(key) for key in ("name", "description", "tags", "epoch"))
    if not isinstance(name, str) or not isinstance(description or "", str) or not isinstance(tags or [], list):
        raise bad(f"{CARD}: is not as Likeness writes it")
    words = cast(list[Any], tags or [])
    if not all(isinstance(word, str) for word in words) or len(str(description)) > models.LONGEST_TEXT:
        raise bad(f"{CARD}: is not as Likeness writes it")
    return Voice(
        id=new_id(), origin="import", name=models.plain_name(name), description=str(description or "").strip(),
        tags=models.plain_tags(words), epoch=epoch if type(epoch) is int and 0 <= epoch < 1_000_000 else None,
    )  # fmt: skip
