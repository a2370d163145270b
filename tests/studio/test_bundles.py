import io
import json
import stat
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from likeness.errors import Conflict, InputError
from likeness.store.tables import Model
from likeness.studio import bundles, library, models, sealed
from likeness.studio.library import Filter
from likeness.studio.models import Words
from likeness.studio.workspace import Studio
from tests.tiny_lora import write_lora, write_run

Parts = dict[str, bytes]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Studio:
    """Another workspace."""
    return Studio(tmp_path / "elsewhere")


@pytest.fixture
def mika(studio: Studio) -> Model:
    write_run(studio.workspace)
    return models.publish(studio, "mika", 2, name="Mika & Co", description="Two\nlines", tags=["girl"], strength=0.8)


@pytest.fixture
def bundle(studio: Studio, mika: Model, tmp_path: Path) -> Path:
    return bundles.write(studio, mika.id, tmp_path / "mika.likeness")


def parts_of(bundle: Path) -> Parts:
    with zipfile.ZipFile(bundle) as pack:
        return {info.filename: pack.read(info) for info in pack.infolist()}


def packed(path: Path, parts: Parts, *, manifest: bool = True, **info: Any) -> Path:
    """A bundle of these parts; with a manifest that is right for them."""
    if manifest:
        told = {n: {"sha256": sha256(c).hexdigest(), "size": len(c)} for n, c in parts.items() if n != "manifest.json"}
        tree = json.loads(parts["manifest.json"]) | {"files": told}
        parts = {**parts, "manifest.json": json.dumps(tree).encode()}
    with zipfile.ZipFile(path, "w") as pack:
        for name, content in parts.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = info.get("compress", zipfile.ZIP_STORED)
            entry.external_attr = info.get("mode", stat.S_IFREG | 0o644) << 16
            pack.writestr(entry, content)
    return path


def with_card(parts: Parts, **values: Any) -> Parts:
    return {**parts, "card.json": json.dumps(json.loads(parts["card.json"]) | values).encode()}


def with_example(parts: Parts, **values: Any) -> Parts:
    """The first example told otherwise."""
    shown = json.loads(parts["card.json"])["examples"]
    return with_card(parts, examples=[shown[0] | values, *shown[1:]])


def test_the_same_model_gives_the_same_bytes_there_and_back(
    studio: Studio, elsewhere: Studio, mika: Model, bundle: Path, tmp_path: Path
) -> None:
    again = bundles.write(studio, mika.id, tmp_path / "again.likeness")
    assert again.read_bytes() == bundle.read_bytes()
    there = bundles.import_bundle(elsewhere, bundle)
    back = bundles.write(elsewhere, there.id, tmp_path / "back.likeness")
    assert back.read_bytes() == bundle.read_bytes()


def test_a_model_arrives_with_all_that_it_was(elsewhere: Studio, mika: Model, bundle: Path) -> None:
    there = bundles.import_bundle(elsewhere, bundle)
    for field in ("name", "description", "base", "family", "kind", "trigger", "strength", "epoch", "file", "sha256",
                  "examples", "thumbnail", "card"):  # fmt: skip
        assert getattr(there, field) == getattr(mika, field), field
    assert there.origin == "import" and there.run is None, "its run is not here"
    assert models.tags_of(elsewhere, [there.id])[there.id] == ["girl"]
    assert (elsewhere.models / there.id / "run.json").is_file()
    assert list(elsewhere.uploads.iterdir()) == [], "nothing is left of the unpacking"


def test_a_plain_file_and_a_folder_for_a_base_travel_too(studio: Studio, elsewhere: Studio, tmp_path: Path) -> None:
    plain = models.import_lora(studio, write_lora(tmp_path / "a.safetensors", metadata={}), "a.safetensors",
                               Words(base="/home/ada/bases/mine"))  # fmt: skip
    bundle = bundles.write(studio, plain.id, tmp_path / "a.likeness")
    assert b"/home/ada" not in bundle.read_bytes()
    there = bundles.import_bundle(elsewhere, bundle)
    assert there.base == "mine" and there.kind == "" and there.examples == [] and there.thumbnail is None
    assert bundles.write(elsewhere, there.id, tmp_path / "b.likeness").read_bytes() == bundle.read_bytes()


def test_what_is_here_already_is_not_imported(studio: Studio, bundle: Path) -> None:
    with pytest.raises(Conflict, match="already, as 'Mika & Co'"):
        bundles.import_bundle(studio, bundle)


def test_anybody_can_open_it(bundle: Path) -> None:
    parts = parts_of(bundle)
    assert next(iter(parts)) == "manifest.json" and parts["README.md"].startswith(b"---\n")
    assert set(json.loads(parts["manifest.json"])["files"]) == set(parts) - {"manifest.json"}
    assert "lora/Mika-Co.safetensors" in parts and "run.json" in parts


def refused(elsewhere: Studio, path: Path, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        bundles.import_bundle(elsewhere, path)
    assert "Fix:" in str(caught.value)
    assert library.listed(elsewhere, Filter()).total == 0
    assert not elsewhere.models.exists() or list(elsewhere.models.iterdir()) == []
    assert not elsewhere.uploads.exists() or list(elsewhere.uploads.iterdir()) == []


EXAMPLE = "examples/0123456789abcdef.png"
CHANGES: dict[str, tuple[Callable[[Parts], Parts], str]] = {
    "a path out of the folder": (lambda p: {**p, "../evil.png": b""}, "which no bundle does"),
    "an absolute path": (lambda p: {**p, "/etc/passwd": b""}, "which no bundle does"),
    "a backslash": (lambda p: {**p, "examples\\..\\..\\evil.png": b""}, "which no bundle does"),
    "a folder inside": (lambda p: {**p, "lora/../../x.safetensors": b""}, "which no bundle does"),
    "a file of another kind": (lambda p: {**p, "examples/run.sh": b"rm"}, "which no bundle does"),
    "a second LoRA": (lambda p: {**p, "lora/b.safetensors": b"x"}, "one LoRA"),
    "no LoRA": (lambda p: {k: v for k, v in p.items() if not k.startswith("lora/")}, "one LoRA"),
    "no card": (lambda p: {k: v for k, v in p.items() if k != "card.json"}, "one LoRA and one card"),
    "a card of another": (lambda p: with_card(p, sha256="0" * 64), "another LoRA"),
    "a card that is a list": (lambda p: {**p, "card.json": b"[]"}, "no JSON object"),
    "a card that is none": (lambda p: {**p, "card.json": b"{"}, "no JSON"),
    "a card of NaN": (lambda p: {**p, "card.json": b'{"strength": NaN}'}, "no JSON"),
    "a name that is a number": (lambda p: with_card(p, name=3), "'name' is no text"),
    "a strength that is text": (lambda p: with_card(p, strength="1"), "'strength' is no number"),
    "a strength beyond reason": (lambda p: with_card(p, strength=1e300), "strength"),
    "tags that are numbers": (lambda p: with_card(p, tags=[1]), "'tags' is no list"),
    "an epoch below none": (lambda p: with_card(p, epoch=-1), "'epoch' is no count"),
    "an unknown kind": (lambda p: with_card(p, kind="villain"), "kind"),
    "examples that are text": (lambda p: with_card(p, examples="all"), "'examples' is no list"),
    "an example outside": (lambda p: with_card(p, examples=[{"file": "../../x.png"}]), "names no picture"),
    "an example that is the LoRA": (lambda p: with_card(p, examples=[{"file": "lora/M.safetensors"}]), "no picture"),
    "an example that is missing": (lambda p: with_card(p, examples=[{"file": EXAMPLE}]), "is not in the bundle"),
    "a thumbnail of no example": (lambda p: with_card(p, thumbnail=EXAMPLE), "none of its examples"),
    "a picture under a false name": (
        lambda p: with_card({**p, EXAMPLE: b"x"}, examples=[{"file": EXAMPLE}]), "not named after its content"),
    "a LoRA that is a pickle": (
        lambda p: with_card({**p, "lora/Mika-Co.safetensors": b"\x80\x02}q\x00." * 9},
                            sha256=sha256(b"\x80\x02}q\x00." * 9).hexdigest()), "pickle"),
    "facts that are a list": (lambda p: with_card(p, facts=[1]), "'facts' are not"),
    "measures that are text": (lambda p: with_card(p, facts={"measures": "x"}), "'facts' are not"),
    "ancestors that are numbers": (lambda p: with_card(p, facts={"lineage": [1, 2]}), "'lineage' is no list"),
    "an example drawn in no steps": (lambda p: with_example(p, steps="many"), "'steps' of an example"),
    "an example with a list for a prompt": (lambda p: with_example(p, prompt=["x"]), "'prompt' of an example"),
    "an example of odd LoRAs": (lambda p: with_example(p, loras=[3]), "'loras' of an example"),
    "another version": (lambda p: {**p, "manifest.json": b'{"format": "likeness-bundle", "version": 2}'}, "upgrade"),
    "another format": (lambda p: {**p, "manifest.json": b'{"format": "zip", "version": 1}'}, "no bundle of Likeness"),
    "run settings that are a list": (lambda p: {**p, "run.json": b"[]"}, "no JSON object"),
    "a huge text": (lambda p: {**p, "run.json": b" " * (sealed.MOST_TEXT_BYTES + 1)}, "more than any bundle"),
    "too many files": (
        lambda p: p | {f"examples/{n:016x}.png": b"x" for n in range(bundles.MOST_FILES)}, "more than any bundle"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_hostile_bundles_are_refused(elsewhere: Studio, bundle: Path, tmp_path: Path, name: str) -> None:
    change, words = CHANGES[name]
    refused(elsewhere, packed(tmp_path / "bad.likeness", change(parts_of(bundle))), words)


def test_a_picture_that_is_none_is_refused(elsewhere: Studio, bundle: Path, tmp_path: Path) -> None:
    content = b"<html>no picture</html>"
    name = f"examples/{sha256(content).hexdigest()[:16]}.png"
    parts = with_card({**parts_of(bundle), name: content}, examples=[{"file": name}], thumbnail=None)
    refused(elsewhere, packed(tmp_path / "bad.likeness", parts), "is none of PNG")


def test_what_a_bundle_says_leads_to_nothing_else(elsewhere: Studio, bundle: Path, tmp_path: Path) -> None:
    parts = parts_of(bundle)
    facts = json.loads(parts["card.json"])["facts"]
    facts["base"]["parts_from"] = "stranger/parts"
    path = packed(tmp_path / "a.likeness", with_card(parts, base="/etc/secret", facts=facts | {"more": "x"}))
    model = bundles.import_bundle(elsewhere, path)
    assert model.base == "secret" and "parts_from" not in model.card["base"] and "more" not in model.card


def test_a_bundle_repacked_rightly_is_taken(elsewhere: Studio, bundle: Path, tmp_path: Path) -> None:
    """So what the tests above refuse is refused for their change alone."""
    path = packed(tmp_path / "good.likeness", parts_of(bundle))
    assert bundles.import_bundle(elsewhere, path).name == "Mika & Co"


def test_changed_content_is_refused(elsewhere: Studio, bundle: Path, tmp_path: Path) -> None:
    parts = parts_of(bundle)
    for name in ("card.json", "run.json", "lora/Mika-Co.safetensors"):
        changed = {**parts, name: parts[name][:-2] + bytes([parts[name][-2] ^ 1, parts[name][-1]])}
        refused(elsewhere, packed(tmp_path / "bad.likeness", changed, manifest=False), "its SHA-256 is another")
    shorter = {**parts, "README.md": parts["README.md"][:-1]}
    refused(elsewhere, packed(tmp_path / "bad.likeness", shorter, manifest=False), "not as its manifest tells")
    more = {**parts, EXAMPLE: b"x"}
    refused(elsewhere, packed(tmp_path / "bad.likeness", more, manifest=False), "does not hold the files")
    less = {k: v for k, v in parts.items() if k != "README.md"}
    refused(elsewhere, packed(tmp_path / "bad.likeness", less, manifest=False), "does not hold the files")


def test_links_and_packed_entries_are_refused(elsewhere: Studio, bundle: Path, tmp_path: Path) -> None:
    parts = parts_of(bundle)
    link = packed(tmp_path / "link.likeness", parts, mode=stat.S_IFLNK | 0o777)
    refused(elsewhere, link, "is a link")
    bomb = packed(tmp_path / "bomb.likeness", {**parts, "run.json": b" " * 4_000_000}, compress=zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 100_000
    refused(elsewhere, bomb, "is packed")


def test_a_name_twice_is_refused(elsewhere: Studio, bundle: Path, tmp_path: Path) -> None:
    path = packed(tmp_path / "twice.likeness", parts_of(bundle))
    with zipfile.ZipFile(path, "a") as pack, pytest.warns(UserWarning, match="Duplicate"):
        pack.writestr("card.json", b"{}")
    refused(elsewhere, path, "in it twice")


def test_a_lying_size_is_refused(elsewhere: Studio, bundle: Path, tmp_path: Path) -> None:
    """The central directory tells of a gigabyte, both packed and unpacked, that is not there."""
    data = bytearray(bundle.read_bytes())
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as pack:
        last = pack.infolist()[-1]
    place = data.rfind(last.filename.encode()) - 46
    assert data[place : place + 4] == b"PK\x01\x02"
    data[place + 20 : place + 28] = (1 << 30).to_bytes(4, "little") * 2
    path = tmp_path / "lying.likeness"
    path.write_bytes(bytes(data))
    refused(elsewhere, path, "more bytes than it has")


@pytest.mark.parametrize("keep", [0, 3, 100, 0.5, 0.99])
def test_half_a_bundle_is_refused(elsewhere: Studio, bundle: Path, tmp_path: Path, keep: float) -> None:
    data = bundle.read_bytes()
    path = tmp_path / "half.likeness"
    path.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    refused(elsewhere, path, "is damaged, or no bundle")


def test_any_flipped_byte_is_noticed_or_harmless(elsewhere: Studio, bundle: Path, tmp_path: Path) -> None:
    data = bundle.read_bytes()
    wanted = parts_of(bundle)
    for place in range(0, len(data), 397):
        changed = bytearray(data)
        changed[place] ^= 0x55
        path = tmp_path / "flipped.likeness"
        path.write_bytes(bytes(changed))
        try:
            model = bundles.import_bundle(elsewhere, path)
        except InputError:
            continue
        assert models.lora_path(elsewhere, model).read_bytes() == wanted["lora/Mika-Co.safetensors"]
        models.delete_model(elsewhere, model.id)
        models.remove(elsewhere, model.id)
