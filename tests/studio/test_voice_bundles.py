import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from likeness.errors import InputError
from likeness.studio import trust, voice_bundles, voices
from likeness.studio.workspace import Studio
from tests.studio.voice_runs_at_hand import tone
from tests.studio.voices_at_hand import ADAPTER, CONSENT, fit, imported, put

Parts = dict[str, bytes]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Studio]:
    found = Studio(tmp_path / "elsewhere")
    yield found
    found.close()


def written(studio: Studio, voice_id: str) -> bytes:
    return voice_bundles.write(studio, voice_id, studio.root / "out.likeness-voice").read_bytes()


def parts_of(bundle: bytes) -> Parts:
    with zipfile.ZipFile(io.BytesIO(bundle)) as pack:
        return {name: pack.read(name) for name in pack.namelist() if name != "manifest.json"}


def sealed(parts: Parts, **manifest: Any) -> bytes:
    """A bundle whose manifest tells of what is in it, whatever that is."""
    files = {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in parts.items()}
    told = {"format": "likeness-voice", "version": 1, "files": files, **manifest}
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as pack:
        for name, data in {"manifest.json": json.dumps(told).encode(), **parts}.items():
            pack.writestr(name, data)
    return held.getvalue()


def with_json(parts: Parts, name: str, change: Callable[[Any], Any]) -> Parts:
    tree = json.loads(parts[name])
    return {**parts, name: json.dumps(change(tree) or tree).encode()}


@pytest.mark.parametrize("engine", ["espeak", "pocket"])
def test_a_voice_arrives_as_it_left_and_gives_the_same_bytes_again(
    studio: Studio, elsewhere: Studio, engine: str
) -> None:
    ada = put(studio, "Áda & Co", engine, tags=["low"], description="Warm\nand slow", epoch=2)
    bundle = written(studio, ada.id)
    assert bundle == written(studio, ada.id)
    there = imported(elsewhere, bundle)
    assert (there.name, there.description, there.tags, there.origin) == (ada.name, "Warm\nand slow", ["low"], "import")
    assert there.engine == engine and there.epoch == 2 and there.thumbnail
    record = voices.record(elsewhere, there)
    assert record.consent.statement == CONSENT and record == voices.record(studio, ada)
    assert written(elsewhere, there.id) == bundle and not list(elsewhere.uploads.glob(".partial*"))
    assert (studio.voices / ada.id / "sample.wav").read_bytes() == (
        elsewhere.voices / there.id / "sample.wav"
    ).read_bytes()


def test_a_base_in_a_folder_stays_at_home_and_is_named_anew(studio: Studio, elsewhere: Studio, tmp_path: Path) -> None:
    ada = put(studio, "ada", "pocket")
    path = studio.voices / ada.id / "voice.json"
    path.write_text(path.read_text().replace("owner/pocket", str(tmp_path)))
    bundle = written(studio, ada.id)
    assert str(tmp_path).encode() not in bundle
    with pytest.raises(InputError, match=r"^base: the bundle does not tell where its Pocket TTS is"):
        imported(elsewhere, bundle)
    there = imported(elsewhere, bundle, base="owner/mine")
    assert voices.record(elsewhere, there).values["base"] == "owner/mine"
    with trust.from_elsewhere(), pytest.raises(InputError, match=r"^base: .*may not name"):
        imported(elsewhere, bundle, base=str(tmp_path))


def test_a_base_on_another_machine_is_no_base_here(studio: Studio, elsewhere: Studio) -> None:
    parts = parts_of(written(studio, put(studio, "ada", "pocket").id))
    for place in ("/srv/weights", "../weights", "~/weights", "C:\\weights\\..\\x", ""):
        changed = with_json(parts, "voice.json", lambda t, p=place: t["values"].update(base=p))
        with pytest.raises(InputError, match=r"^base: "):
            imported(elsewhere, sealed(changed))


def test_a_voice_of_a_program_does_not_leave(studio: Studio) -> None:
    ada = put(studio)
    path = studio.voices / ada.id / "voice.json"
    path.write_text(path.read_text().replace('"espeak",', '"script",', 1))
    with pytest.raises(InputError, match=r"^voice: .* program of its own"):
        written(studio, ada.id)


def values(**changed: Any) -> Callable[[Any], None]:
    return lambda tree: tree["values"].update(changed)


def espeak(**changed: Any) -> Callable[[Any], None]:
    return lambda tree: tree["values"]["espeak"].update(changed)


def record(**changed: Any) -> Callable[[Any], None]:
    return lambda tree: tree.update(changed)


SPOILT: dict[str, tuple[Callable[[Any], None], str]] = {
    "a script engine": (record(engine="script"), "program of its own, which is never taken"),
    "a script engine with its script": (record(engine="script", values={"script": "/tmp/x.py"}), "program of its own"),
    "an unknown engine": (record(engine="other"), "'engine' is not as"),
    "a script in the values": (values(script="/tmp/x.py"), "'values' are not as"),
    "a base in the values": (values(base="/tmp"), "'values' are not as"),
    "a voice that climbs": (espeak(voice="en-us+../../../tmp/x"), "'values' are not as"),
    "settings that are none": (espeak(more=1), "'values' are not as"),
    "a rate that is none": (espeak(rate="fast"), "'values' are not as"),
    "no consent": (lambda tree: tree.pop("consent") and None, "without a statement of consent"),
    "an empty consent": (lambda tree: tree["consent"].update(statement=" " * 40), "without a statement of consent"),
    "a consent that is no text": (lambda tree: tree["consent"].update(statement=[1]), "without a statement"),
    "a field more": (record(exec="x"), "'exec' is not as"),
    "a name that climbs": (record(name="../x"), "'name' is not as"),
    "a long record": (record(notes=["x" * 70_000]), "longer than any voice's"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_record_that_is_not_ours_is_refused_and_nothing_is_kept(studio: Studio, elsewhere: Studio, case: str) -> None:
    change, words = SPOILT[case]
    parts = parts_of(written(studio, put(studio).id))
    with pytest.raises(InputError, match=words):
        imported(elsewhere, sealed(with_json(parts, "voice.json", change)))
    assert not list(elsewhere.voices.glob("*")) and voices.listed(elsewhere)[1] == 0


def without(*names: str) -> Callable[[Parts], Parts]:
    return lambda parts: {name: data for name, data in parts.items() if name not in names}


def also(**more: bytes) -> Callable[[Parts], Parts]:
    return lambda parts: {**parts, **{name.replace("__", "."): data for name, data in more.items()}}


WRONG: dict[str, tuple[str, Callable[[Parts], Parts], str]] = {
    "no record": ("espeak", without("voice.json"), "lacks voice.json"),
    "no card": ("espeak", without("card.json"), "lacks card.json"),
    "no reference": ("espeak", without("reference.wav"), "lacks reference.wav"),
    "no fit": ("espeak", without("fit.npz"), "lacks what its engine needs"),
    "half an adapter": ("pocket", without("adapter_config.json"), "lacks what its engine needs"),
    "files of another engine": ("espeak", also(adapter_model__safetensors=b"x"), "its engine does not know"),
    "a pickle": ("pocket", also(adapter_model__bin=b"x"), "which no bundle does"),
    "a program": ("espeak", also(engine__py=b"x"), "which no bundle does"),
    "a climbing name": ("espeak", lambda p: {**p, "../voice.json": b"x"}, "which no bundle does"),
    "a reference that is none": ("espeak", also(reference__wav=b"RIFF"), "reference.wav: is no sound"),
    "a long sample": ("espeak", also(sample__wav=tone(61, rate=8000)), "sample.wav: is not as"),
    "packed arrays": ("espeak", also(fit__npz=fit(packed=True)), "fit.npz: is not as"),
    "arrays of other names": ("espeak", also(fit__npz=fit(name="../x.npy")), "fit.npz: is not as"),
    "no arrays": ("espeak", also(fit__npz=b"PK"), "fit.npz: is damaged"),
    "a card that is none": ("espeak", also(card__json=b'{"name": 1}'), "card.json: is not as"),
    "a card without a name": ("espeak", also(card__json=b'{"name": ""}'), "name: has 0 characters"),
    "an adapter of a stranger": (
        "pocket", also(adapter_config__json=json.dumps({**ADAPTER, "peft_type": "X"}).encode()), "adapter_config.json"),
    "a pattern without end": (
        "pocket", also(adapter_config__json=json.dumps({**ADAPTER, "target_modules": "(a+)+$"}).encode()), "is not as"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_files_that_are_not_ours_are_refused_and_nothing_is_kept(studio: Studio, elsewhere: Studio, case: str) -> None:
    engine, change, words = WRONG[case]
    parts = change(parts_of(written(studio, put(studio, "ada", engine).id)))
    with pytest.raises(InputError, match=words):
        imported(elsewhere, sealed(parts))
    assert not list(elsewhere.voices.glob("*")) and voices.listed(elsewhere)[1] == 0


def test_settings_of_an_adapter_that_could_run_code_are_left_out(studio: Studio, elsewhere: Studio) -> None:
    parts = parts_of(written(studio, put(studio, "ada", "pocket").id))
    more = {**ADAPTER, "megatron_core": "evil", "megatron_config": {"x": 1}, "auto_mapping": {"parent_library": "evil"}}
    there = imported(elsewhere, sealed({**parts, "adapter_config.json": json.dumps(more).encode()}))
    kept = json.loads((elsewhere.voices / there.id / "adapter_config.json").read_text())
    assert kept == ADAPTER and written(elsewhere, there.id) == written(studio, voices.get(studio, "ada").id)


def test_what_is_no_bundle_of_a_voice_is_told(studio: Studio, elsewhere: Studio) -> None:
    bundle = written(studio, put(studio).id)
    middle = len(bundle) // 2
    damaged = bundle[:middle] + bytes([bundle[middle] ^ 1]) + bundle[middle + 1 :]
    for content, name, words in (
        (b"", "a.likeness-voice", "^bundle: "),
        (bundle[:-100], "a.likeness-voice", "^bundle: "),
        (damaged, "a.likeness-voice", "^bundle: .*(damaged|changed)"),
        (bundle, "a.wav", "^file: .* is no bundle of a voice"),
        (sealed(parts_of(bundle), format="likeness-bundle"), "a.zip", "no bundle of Likeness of this kind"),
        (sealed(parts_of(bundle), version=2), "a.zip", "upgrade Likeness"),
    ):
        with pytest.raises(InputError, match=words):
            imported(elsewhere, content, name)
    assert voices.listed(elsewhere)[1] == 0
    assert imported(elsewhere, bundle, "a.ZIP").name == "ada"


@pytest.mark.parametrize("seed", range(int(os.environ.get("FUZZ_EXAMPLES", "0")) or 30))
def test_bundles_with_bytes_turned_over_are_taken_whole_or_refused(
    studio: Studio, elsewhere: Studio, seed: int
) -> None:
    import random

    draw = random.Random(seed)
    bundle = bytearray(written(studio, put(studio).id))
    for _ in range(draw.randint(1, 4)):
        bundle[draw.randrange(len(bundle))] = draw.randrange(256)
    try:
        there = imported(elsewhere, bytes(bundle))
    except InputError:
        assert voices.listed(elsewhere)[1] == 0
    else:
        assert voices.record(elsewhere, there).consent.statement == CONSENT
