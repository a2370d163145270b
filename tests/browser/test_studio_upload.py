"""The drop zone in a real browser: files and folders are sent, refused ones told, cut ones gone on with."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver import Chrome

from likeness.store.tables import Dataset
from likeness.studio import datasets
from tests.browser.serving import PHONE, StudioServer, complaints, find, overflow, unnamed, until, wide

SENT = "return document.querySelector('drop-zone').counts"


class Cutter:
    """Passes connections on to a server, and breaks one after so many bytes to it, once.

    The bytes of all connections count: a browser that is kept waiting sends the next piece over a new one.
    """

    def __init__(self, port: int):
        self._lock = threading.Lock()
        self.cut_at: int | None = None  # as `carried` counts
        self.carried = 0  # bytes to the server, of all connections
        self.cuts = 0
        self.stays_down = False  # after a cut
        self.down = False
        self._port = port
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            if self.down:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._port))
            except OSError:  # the server has ended
                client.close()
                continue
            threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, upwards: bool) -> None:
        try:
            while data := source.recv(65536):
                if upwards and self._cuts(len(data)):
                    break
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _cuts(self, count: int) -> bool:
        with self._lock:
            self.carried += count
            if self.cut_at is None or self.carried < self.cut_at:
                return False
            self.cut_at, self.cuts, self.down = None, self.cuts + 1, self.stays_down
            return True

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def cutter(studio_server: StudioServer) -> Iterator[Cutter]:
    found = Cutter(int(studio_server.address.rpartition(":")[2]))
    yield found
    found.close()


@pytest.fixture
def row(studio_server: StudioServer) -> Dataset:
    return datasets.create(studio_server.studio, "mine")


@pytest.fixture
def page(browser: Chrome, studio_server: StudioServer, cutter: Cutter, row: Dataset) -> Chrome:
    """A page of the studio with a drop zone for a dataset in it."""
    wide(browser)
    browser.get(f"{cutter.address}/queue")
    browser.get_log("browser")
    browser.execute_script(
        "document.querySelector('main').innerHTML = arguments[0]; window.told = [];"
        "for (const name of ['uploaded', 'settled'])"
        " document.addEventListener(name, (e) => told.push([name, e.detail]))",
        f'<drop-zone action="/api/v1/datasets/{row.id}/files/" accept="image/*,.txt,.zip" folders></drop-zone>',
    )
    return browser


def picture(path: Path, side: int, seed: int = 0) -> Path:
    """Noise, which does not get smaller when it is packed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, compress_level=0)
    return path


def choose(page: Chrome, *paths: Path, folder: bool = False) -> None:
    page.execute_script("for (const i of document.querySelectorAll('drop-zone input')) i.hidden = false")
    css = "drop-zone input[webkitdirectory]" if folder else "drop-zone input:not([webkitdirectory])"
    find(page, css).send_keys("\n".join(map(str, paths)))


def names(server: StudioServer, row: Dataset) -> list[str]:
    return [found.name for found in datasets.pictures(server.studio, row.id)[0]]


def settled(page: Chrome, done: int, failed: int = 0) -> None:
    until(
        page, f"const c = document.querySelector('drop-zone').counts; return c.done === {done} && c.failed === {failed}"
    )


def test_files_are_sent_one_by_one_and_told(page: Chrome, studio_server: StudioServer, row: Dataset, tmp_path: Path):
    files = [picture(tmp_path / f"{name}.png", 64, seed) for seed, name in enumerate(("a", "ä b", "c#1"))]
    (tmp_path / "a.txt").write_text("a caption")
    choose(page, *files, tmp_path / "a.txt")
    settled(page, 4)
    assert sorted(names(studio_server, row)) == ["a.png", "c#1.png", "ä b.png"]
    assert datasets.find(studio_server.studio, row.id, "a.png").caption == "a caption"
    events = page.execute_script("return told")
    assert [name for name, _ in events] == ["uploaded"] * 4 + ["settled"]  # type: ignore[union-attr]
    assert events[0][1]["answer"]["pictures"] == ["a.png"] and events[-1][1] == {"done": 4, "failed": 0}  # type: ignore[index]
    assert "4 of 4 sent" in find(page, ".drop-sum").text
    find(page, "[data-clear]").click()
    assert not find(page, ".drop-sum").is_displayed()


def test_a_cut_connection_is_taken_up_where_it_was(
    page: Chrome, studio_server: StudioServer, cutter: Cutter, row: Dataset, tmp_path: Path
):
    large = picture(tmp_path / "large.png", 1800)
    size = large.stat().st_size
    assert size > 9_000_000
    before = cutter.carried
    cutter.cut_at = before + 7_000_000
    choose(page, large, picture(tmp_path / "small.png", 32))
    settled(page, 2)
    assert cutter.cuts == 1 and sorted(names(studio_server, row)) == ["large.png", "small.png"]
    arrived = datasets.path_of(studio_server.studio, row.id, "large.png").read_bytes()
    assert arrived == large.read_bytes()
    assert cutter.carried - before < size + 4_100_000, "what had arrived was not sent again"


def test_a_page_that_is_opened_again_goes_on(
    page: Chrome, studio_server: StudioServer, cutter: Cutter, row: Dataset, tmp_path: Path
):
    large = picture(tmp_path / "large.png", 1800)
    cutter.cut_at, cutter.stays_down = cutter.carried + 7_000_000, True
    choose(page, large)
    until(page, "return document.querySelector('drop-zone').innerText.includes('trying again')")
    markup = page.execute_script("const z = document.querySelector('drop-zone'); return z.getAttribute('action')")
    page.execute_script(
        "window.onbeforeunload = null; addEventListener('beforeunload', (e) => e.stopImmediatePropagation(), true)"
    )
    page.execute_cdp_cmd("Page.navigate", {"url": "about:blank"})
    cutter.down, before = False, cutter.carried
    page.get(f"{cutter.address}/queue")
    page.execute_script(
        "document.querySelector('main').innerHTML = arguments[0]", f'<drop-zone action="{markup}"></drop-zone>'
    )
    choose(page, large)
    settled(page, 1)
    assert cutter.carried - before < large.stat().st_size - 3_000_000
    assert datasets.path_of(studio_server.studio, row.id, "large.png").read_bytes() == large.read_bytes()


def test_what_is_refused_is_told_beside_the_file(
    page: Chrome, studio_server: StudioServer, row: Dataset, tmp_path: Path
):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture at all")
    choose(page, broken, picture(tmp_path / "good.png", 32))
    settled(page, 1, 1)
    line = find(page, ".drop-list li[data-state=failed]").text
    assert "broken.png" in line and "Fix:" in line
    assert "1 refused or failed" in find(page, ".drop-sum").text and names(studio_server, row) == ["good.png"]
    find(page, "[data-again]").click()
    settled(page, 1, 1)


def test_a_folder_is_sent_without_what_is_no_picture(
    page: Chrome, studio_server: StudioServer, row: Dataset, tmp_path: Path
):
    folder = tmp_path / "drop"
    picture(folder / "one.png", 32, 1)
    picture(folder / "inner/two.png", 32, 2)
    (folder / "notes.pdf").write_bytes(b"x")
    (folder / ".hidden.png").write_bytes(b"x")
    choose(page, folder, folder=True)
    settled(page, 2)
    assert sorted(names(studio_server, row)) == ["inner-two.png", "one.png"]


def test_files_can_be_dropped(page: Chrome, studio_server: StudioServer, row: Dataset):
    page.execute_script(
        """const canvas = new OffscreenCanvas(32, 32); canvas.getContext('2d');
        return canvas.convertToBlob({type: 'image/png'}).then((blob) => {
          const data = new DataTransfer(); data.items.add(new File([blob], 'dropped.png', {type: 'image/png'}))
          const zone = document.querySelector('drop-zone')
          zone.dispatchEvent(new DragEvent('dragover', {dataTransfer: data, cancelable: true, bubbles: true}))
          if (!zone.hasAttribute('over')) throw new Error('it does not show that it takes it')
          zone.dispatchEvent(new DragEvent('drop', {dataTransfer: data, cancelable: true, bubbles: true}))
        })"""
    )
    settled(page, 1)
    assert names(studio_server, row) == ["dropped.png"]


def test_it_fits_on_a_phone_and_all_is_named(page: Chrome, tmp_path: Path):
    wide(page, PHONE)
    broken = tmp_path / f"{'long-name-' * 12}.png"
    broken.write_bytes(b"no picture")
    choose(page, broken)
    settled(page, 0, 1)
    page.execute_script("for (const i of document.querySelectorAll('drop-zone input')) i.hidden = true")
    assert overflow(page) == 0 and unnamed(page) == []
    assert all("422" in words for words in complaints(page))
