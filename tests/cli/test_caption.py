"""`likeness dataset caption`, from the command to the text files, against a server on this machine."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.dataset.authorship import RECORD
from tests.captioning.server import SEES, Received, Reply, Server, chatted, serving
from tests.cli.conftest import Answer
from tests.tiny_run import write_pairs, write_pictures

Likeness = Callable[..., Answer]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Four pictures without captions."""
    folder = write_pictures(tmp_path / "bare", 4)
    for text in folder.glob("*.txt"):
        text.unlink()
    return folder


def options(server: Server, *more: object) -> list[object]:
    return ["--engine", "ollama", "--model", "llava", "--endpoint", server.url, "--parallel", 1, "--timeout", 10, *more]


def texts(folder: Path) -> dict[str, str]:
    return {f.stem: f.read_text().strip() for f in sorted(folder.glob("*.txt"))}


def counting() -> Callable[[Received], Reply]:
    """Captions with a number."""
    count = iter(range(1, 100))
    return lambda r: Reply(chatted(f"Caption {next(count)}.")) if r.path == "/api/chat" else SEES


def test_captions_are_written_and_a_persons_are_kept(likeness: Likeness, bare: Path):
    (bare / "1.txt").write_text("my own words")
    with serving(counting()) as server:
        told = likeness("dataset", "caption", bare, *options(server, "--trigger", "tiny_char"))
        assert told.code == 0 and "3 captions by llava; left as they are: 1 by a person" in told.words
        first = texts(bare)
        assert first["0"] == "tiny_char, Caption 1." and first["1"] == "my own words"
        rows = [json.loads(line) for line in (bare / RECORD).read_text().splitlines()]
        assert {r["file"] for r in rows} == {"0.txt", "2.txt", "3.txt"} and rows[0]["engine"] == "ollama"
        assert "Describe this picture" in rows[0]["prompt"] and rows[0]["pictures"] == ["0.png"]

        (bare / "2.txt").write_text("tiny_char, Caption 2, mended.")
        assert likeness("dataset", "caption", bare, *options(server)).words.startswith("0 captions")
        again = likeness("dataset", "caption", bare, *options(server, "--overwrite", "machine", "--json")).json
        assert again["captioned"] == 2 and again["kept"] == {"person": 2, "machine": 0}
        assert texts(bare) == {**first, "0": "Caption 4.", "2": "tiny_char, Caption 2, mended.", "3": "Caption 5."}
        everything = likeness("dataset", "caption", bare, *options(server, "--overwrite", "all", "--json")).json
        assert everything["captioned"] == 4
    assert '"text": "my own words"' in (bare / RECORD).read_text()
    assert likeness("dataset", "check", bare, "--json").json["examples"] == 4  # the reader finds them


def test_failures_are_listed_and_tried_again(likeness: Likeness, bare: Path):
    (bare / "3.png").write_bytes(b"no picture")
    replies = [SEES, Reply(chatted("I'm sorry, I can't help with that.")), Reply(chatted("One.")), Reply(status=400)]
    with serving(*replies) as server:
        told = likeness("dataset", "caption", bare, *options(server))
    assert told.code == 3 and "1 caption by llava" in told.words and "3 of 4 got no caption" in told.words
    for words in (
        "refused",
        "0.png: the model refused: I'm sorry",
        "server",
        "answered 400",
        "picture",
        "3.png: is none",
    ):
        assert words in told.words
    assert texts(bare) == {"1": "One."}
    with serving(counting()) as server:
        again = likeness("dataset", "caption", bare, *options(server, "--json"))
    assert (
        again.code == 3 and again.json["captioned"] == 2 and [f["reason"] for f in again.json["failed"]] == ["picture"]
    )


def test_pairs_get_instructions(likeness: Likeness, tmp_path: Path):
    folder = write_pairs(tmp_path / "pairs", 2)
    (folder / "after" / "0.txt").unlink()
    with serving(SEES, Reply(chatted('"Make it night."'))) as server:
        told = likeness("dataset", "caption", folder, *options(server, "--json"))
        assert told.json["captioned"] == 1 and len(server.received[1].body["messages"][1]["images"]) == 2
    assert (folder / "after" / "0.txt").read_text() == "Make it night.\n"


def test_it_stops_at_once_keeps_what_is_done_and_goes_on(likeness: Likeness, bare: Path, tmp_path: Path):
    """Also where captions are replaced: what was replaced before is not replaced again."""
    for file in bare.glob("*.png"):
        file.with_suffix(".txt").write_text("")  # empty ones are nobody's
    with serving(counting()) as server:
        likeness("dataset", "caption", bare, *options(server))
    replacing = ("--overwrite", "machine")

    def stop_soon(received: Received) -> Reply:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        return Reply(hangs=True)

    with serving(SEES, Reply(chatted("New one.")), stop_soon) as server:
        began = time.monotonic()
        told = likeness("dataset", "caption", bare, *options(server, *replacing))
        assert told.code == 130 and time.monotonic() - began < 8
        assert "1 caption by llava" in told.words and "3 not tried yet" in told.words
        port = server.http.server_address[1]
    with serving(counting()) as server:
        moved = shutil.copytree(bare, tmp_path / "moved")
        unfinished = moved / ".likeness" / "captioning.json"
        unfinished.write_text(unfinished.read_text().replace(str(port), str(server.http.server_address[1])))
        told = likeness("dataset", "caption", moved, *options(server, *replacing, "--json"))
    assert told.json["captioned"] == 3 and texts(moved)["0"] == "New one." and not unfinished.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere: no such folder"),
        ([".", "--engine", "tagger"], "--model: name a tagger"),
        ([".", "--endpoint", "here"], "--endpoint: should be an address"),
        ([".", "--api-key-env", "sk-123"], "not the key itself"),
        ([".", "--engine", "openai", "--model", "x", "--api-key-env", "NO_KEY_HERE"], "has no NO_KEY_HERE"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_refusals(likeness: Likeness, bare: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str):
    monkeypatch.chdir(bare)
    told = likeness("dataset", "caption", *arguments)
    assert told.code == 2 and words in told.words and "sk-123" not in told.words
    assert not list(bare.glob("*.txt"))


def test_captions_fit_the_base(likeness: Likeness, bare: Path):
    long = " ".join(f"A girl in coat {n} stands there." for n in range(20))
    with serving(SEES, Reply(chatted(long))) as server:
        told = likeness("dataset", "caption", bare, *options(server, "--base", "starter", "--json"))
        assert "at most 36 words" in server.received[1].body["messages"][0]["content"]
    assert len(texts(bare)["0"].split()) == 35 and "too long" in told.json["to_look_at"][0]["notes"][0]


def test_captions_from_a_server_need_no_torch():
    code = "import likeness.worker.captioning, likeness.captioning.ollama, likeness.captioning.openai, sys;"
    code += "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'transformers', 'onnxruntime'}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
