import io
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.dataset import archives
from likeness.dataset.archives import unpack
from likeness.errors import InputError
from tests.dataset.samples import write_picture

Names = dict[str, bytes]


@pytest.fixture
def pack(tmp_path: Path) -> Callable[..., Path]:
    def make(files: Names, kind: str = "zip") -> Path:
        archive = tmp_path / f"set.{kind}"
        if kind == "zip":
            with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
                for name, data in files.items():
                    zipped.writestr(zipfile.ZipInfo(name) if "\\" in name else name, data)
        else:
            with tarfile.open(archive, "w") as tar:
                for name, data in files.items():
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
        return archive

    return make


def refused(archive: Path, store: Path) -> str:
    """The one problem; whatever is wrong, nothing of the archive is left, and nothing is anywhere else."""
    outside = {p for p in store.parent.rglob("*") if store not in (p, *p.parents)}
    with pytest.raises(InputError) as caught:
        unpack(archive, store)
    assert {p for p in store.parent.rglob("*") if store not in (p, *p.parents)} == outside
    assert not store.exists() or list(store.iterdir()) == []
    (problem,) = caught.value.problems
    assert "Fix: " in problem and "\n" not in problem and problem.isprintable()
    return problem


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_only_what_datasets_use_is_unpacked(tmp_path: Path, pack: Callable[..., Path], kind: str):
    files = ["a.png", "b/c.TXT", "b/d.csv", "run.exe", ".hidden.png", "__MACOSX/a.png", "b/.git/x.txt", "日本/猫.jpg"]
    folder = unpack(pack({name: name.encode() for name in files}, kind), tmp_path / "store")
    found = {p.relative_to(folder).as_posix(): p.read_bytes().decode() for p in folder.rglob("*.*")}
    assert found == {name: name for name in ["a.png", "b/c.TXT", "b/d.csv", "日本/猫.jpg"]}


def test_an_archive_is_unpacked_once_and_known_by_its_content(tmp_path: Path, pack: Callable[..., Path]):
    archive, store = pack({"a.png": b"1"}), tmp_path / "store"
    folder = unpack(archive, store)
    (folder / "a.png").write_bytes(b"changed")
    assert unpack(archive.rename(tmp_path / "other.zip"), store) == folder
    assert (folder / "a.png").read_bytes() == b"changed"
    assert unpack(pack({"a.png": b"2"}), store) != folder
    assert not list(store.glob(".partial*"))


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    "name",
    ["../a.png", "b/../../a.png", "/a.png", "..\\a.png", "C:\\a.png", "C:a.png", "\\\\host\\share\\a.png", "../a.exe"],
)
def test_names_that_lead_out_are_refused(tmp_path: Path, pack: Callable[..., Path], kind: str, name: str):
    archive = pack({"good.png": b"1", name: b"2"}, kind)
    assert "leads out of its folder" in refused(archive, tmp_path / "store")


@pytest.mark.parametrize(
    "name", ["CON.png", "b/aux/a.png", "nul.txt", "a\n.png", "b /a.png", "a" * 300 + ".png", "b\\a.png", "\x1b[31m.txt"]
)
def test_names_that_not_every_system_can_hold_are_refused(tmp_path: Path, pack: Callable[..., Path], name: str):
    assert "no name that every system" in refused(pack({name: b"1"}), tmp_path / "store")


@pytest.mark.parametrize("names", [("a.png", "A.png"), ("é.png", "e\u0301.png"), ("ß.png", "SS.png")])
def test_names_that_some_systems_take_for_one_are_refused(
    tmp_path: Path, pack: Callable[..., Path], names: tuple[str, str]
):
    assert "take for one" in refused(pack(dict.fromkeys(names, b"1")), tmp_path / "store")


def test_links_and_devices_are_refused(tmp_path: Path):
    link = zipfile.ZipInfo("a.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as zipped:
        zipped.writestr(link, "/etc/passwd")
    assert "is a link" in refused(tmp_path / "set.zip", tmp_path / "store")
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        info = tarfile.TarInfo("a.png")
        info.type, info.linkname = kind, "/etc/passwd"
        with tarfile.open(tmp_path / "set.tar", "w") as tar:
            tar.addfile(info)
        assert "is a link" in refused(tmp_path / "set.tar", tmp_path / "store")


def test_bombs_are_refused_by_what_they_unpack_to(
    tmp_path: Path, pack: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    archive = pack({"a.png": bytes(20 << 20)})  # 1000 : 1
    assert "unpacks to over" in refused(archive, tmp_path / "store")
    data = bytearray(archive.read_bytes())
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):  # a size that is not true
        struct.pack_into("<I", data, data.index(signature) + at, 5)
    archive.write_bytes(data)
    refused(archive, tmp_path / "store")
    many = pack({f"{n}.txt": b"x" for n in range(30)})
    monkeypatch.setattr(archives, "MAX_FILES", 20)
    assert "more than 20 entries" in refused(many, tmp_path / "store")


def test_entries_that_share_their_bytes_are_counted_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As a bomb that names one packed file many times."""
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("0.png", bytes(1 << 20))
        for n in range(1, 40):
            twin = zipfile.ZipInfo(f"{n}.png")
            for field in ("header_offset", "compress_size", "file_size", "CRC", "compress_type"):
                setattr(twin, field, getattr(zipped.filelist[0], field))
            zipped.filelist.append(twin)
            zipped.NameToInfo[twin.filename] = twin
        zipped._didModify = True
    monkeypatch.setattr(archives, "FREE_BYTES", 2 << 20)
    refused(archive, tmp_path / "store")


def test_a_full_disk_is_told_before_it_is_full(
    tmp_path: Path, pack: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    usage = archives.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: usage._replace(free=10))
    assert "more room than there is" in refused(pack({"a.png": b"x" * 100}), tmp_path / "store")


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def wrong_sum(data: bytes) -> bytes:
    at = data.index(b"PK\x01\x02") + 16
    return data[:at] + b"\1\2\3\4" + data[at + 4 :]


def with_password(data: bytes) -> bytes:
    flagged = bytearray(data)
    flagged[6] |= 1
    flagged[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(flagged)


@pytest.mark.parametrize(
    ("change", "what"),
    [(cut, "damaged"), (wrong_sum, "damaged"), (with_password, "password"), (lambda _: b"", "damaged")],
)
def test_broken_archives_are_told(
    tmp_path: Path, pack: Callable[..., Path], change: Callable[[bytes], bytes], what: str
):
    archive = pack({"a.png": write_picture(tmp_path / "a.png").read_bytes()})
    archive.write_bytes(change(archive.read_bytes()))
    assert what in refused(archive, tmp_path / "store")


def test_an_archive_of_another_kind_is_told(tmp_path: Path):
    for kind in ("zip", "tar"):
        (tmp_path / f"set.{kind}").write_bytes(b"hello" * 1000)
        assert "damaged" in refused(tmp_path / f"set.{kind}", tmp_path / "store")
