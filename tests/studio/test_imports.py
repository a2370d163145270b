import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from likeness.errors import InputError, NotFound
from likeness.studio import datasets, imports, preferences
from likeness.studio.workspace import Studio
from tests.studio.voice_runs_at_hand import tone


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a folder, and the folder."""
    folder = tmp_path / "site"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args: object, **more: object) -> None:
            super().__init__(*args, directory=str(folder), **more)  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()


def picture(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_pictures_captions_and_archives_come_in_and_the_rest_is_told(studio: Studio, site: tuple[str, Path]) -> None:
    address, folder = site
    (folder / "a.png").write_bytes(picture("red"))
    (folder / "a.txt").write_text("a red square")
    (folder / "no-picture.png").write_text("<html>")
    with zipfile.ZipFile(folder / "more.zip", "w") as pack:
        pack.writestr("b.png", picture("blue"))
        pack.writestr("b.txt", "a blue square")
    row = datasets.create(studio, "squares")
    preferences.change(studio, "imports", {"allow_private": True})
    urls = [f"{address}/{name}" for name in ("a.png", "a.txt", "more.zip", "no-picture.png", "missing.png")]
    arrived = imports.into_dataset(studio, row.id, urls)
    assert sorted(arrived.pictures) == ["a.png", "b.png"] and len(arrived.refused) == 2
    assert "no-picture.png" in arrived.refused[0] and "answered 404" in arrived.refused[1]
    captions = {p.name: p.caption for p in datasets.pictures(studio, row.id)[0]}
    assert captions == {"a.png": "a red square", "b.png": "a blue square"}
    assert [p for p in studio.uploads.iterdir() if p.name.startswith("import-")] == []


def test_this_machine_is_not_asked_unless_it_is_allowed(studio: Studio, site: tuple[str, Path]) -> None:
    address, folder = site
    (folder / "a.png").write_bytes(picture("red"))
    row = datasets.create(studio, "squares")
    arrived = imports.into_dataset(studio, row.id, [f"{address}/a.png"])
    assert arrived.pictures == [] and "private network" in arrived.refused[0]
    with pytest.raises(InputError, match="private network"):
        imports.into_library(studio, f"{address}/a.safetensors")


def test_a_recording_is_fetched_and_what_is_none_is_refused(studio: Studio, site: tuple[str, Path]) -> None:
    address, folder = site
    (folder / "ada.wav").write_bytes(tone(1.0))
    (folder / "ada.mp4").write_bytes(b"video")
    with pytest.raises(InputError, match="private network"):
        imports.into_recordings(studio, f"{address}/ada.wav")
    preferences.change(studio, "imports", {"allow_private": True})
    found = imports.into_recordings(studio, f"{address}/ada.wav")
    assert (found.name, found.seconds) == ("ada.wav", 1.0) and found.path.read_bytes() == tone(1.0)
    with pytest.raises(InputError, match="no recording that is read here"):
        imports.into_recordings(studio, f"{address}/ada.mp4")
    assert [p for p in studio.uploads.iterdir() if p.name.startswith("import-")] == []


def test_what_cannot_be_is_refused_before_anything_is_fetched(studio: Studio) -> None:
    row = datasets.create(studio, "squares")
    for urls in ([], ["http://a.example/x.png"] * 101, ["http://a.example/x.png", "file:///etc/passwd"]):
        with pytest.raises(InputError, match="url"):
            imports.into_dataset(studio, row.id, urls)
    with pytest.raises(NotFound):
        imports.into_dataset(studio, "nobody", ["http://a.example/x.png"])
    preferences.change(studio, "imports", {"on": False})
    with pytest.raises(InputError, match="not fetched here"):
        imports.into_dataset(studio, row.id, ["http://a.example/x.png"])


def test_a_file_that_is_no_lora_does_not_come_into_the_library(studio: Studio, site: tuple[str, Path]) -> None:
    address, folder = site
    (folder / "evil.ckpt").write_bytes(b"pickle")
    (folder / "fake.safetensors").write_bytes(b"\x00" * 100)
    preferences.change(studio, "imports", {"allow_private": True})
    for name in ("evil.ckpt", "fake.safetensors"):
        with pytest.raises(InputError):
            imports.into_library(studio, f"{address}/{name}")
    assert not list(studio.models.glob("*"))
