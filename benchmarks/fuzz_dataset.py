"""Hostile datasets by the thousand: whatever is in one, it must end in examples or messages.

python -m benchmarks.fuzz_dataset [--minutes 10] [--log fuzz.jsonl] [--case SEED]

Every case is a folder or an archive made from a seed: pictures of all formats with bytes changed, cut out or doubled,
captions, lists and crop boxes of nonsense, names of any kind, links that lead out. Each is read twice, checked, drawn
as a contact sheet, mended, taken back, and looked through for captions to write and pictures to enlarge. Cases run in
processes of their own, so that a crash of a decoder is seen and named by its seed. `--case` runs one again.
"""

import argparse
import io
import json
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms

from likeness.config.data import DatasetConfig
from likeness.dataset.authorship import Authorship, find_places
from likeness.dataset.checks import Rules, findings
from likeness.dataset.checks import measure as measure_all
from likeness.dataset.enlarging import sort_folder
from likeness.dataset.formats import measure, open_alpha, open_rgb
from likeness.dataset.geometry import cut_out, with_crops
from likeness.dataset.index import Index
from likeness.dataset.ingest import Reading, read_dataset
from likeness.dataset.manifest import read_manifest, write_manifest
from likeness.dataset.masks import open_mask
from likeness.dataset.mend import mend, undo
from likeness.errors import InputError
from likeness.report.sheet import Entry, Remark, render_sheet

MEMORY_BYTES = 4 << 30  # address space of a process that reads
MOST_SECONDS = 60  # for one case
CASES_PER_PROCESS = 300
PICTURES_PER_CASE = 15
SECRET = "what lies outside"

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF")
MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16", "F", "I", "LAB", "YCbCr")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".heic", ".tif", ".tiff", ".bmp", ".gif", ".PNG")
TEXTS = (".txt", ".caption", ".json")
LISTS = ("metadata.jsonl", "metadata.csv", "metadata.json", "captions.json", "pairs.jsonl", "list.jsonl")
FOLDERS = ("", "", "", "before/", "after/", "control_2/", "40_mia/", "inner/deep/", "m/", "0_x/", "999_y/")
ENDINGS = ("", "", "", "_before", "_after", "-masklabel", "-condlabel", "_mask", "_0", "_1", "_start2")
KEYS = ("file_name", "image", "text", "caption", "captions", "tags", "before", "after", "control_path_0", "edit_image",
        "mask", "instruction", "before_99999999999999999999", "prompt", "a")  # fmt: skip
PATHS = ("../secret.png", "/etc/passwd", "..\\secret.png", "C:\\a.png", "link.png", "a.png", "a", "inner/deep/a.png",
         "\0.png", "", ".", "x" * 5000, "a\udc80.png", "~/a.png", "./a.png", "//a.png", "a.png/b.png")  # fmt: skip
VALUES: tuple[Any, ...] = (None, 1, 1e308, True, [], {}, "", " ", ["a.png"], [["a"]], {"path": "a.png"}, {"bytes": 1},
                           "\ud800", "a cat", ["a", 3], "[trigger]", "[" * 2000, "﷽" * 200)  # fmt: skip
EXTREMES = (0, 1, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


# --- making a case


def make_case(seed: int, folder: Path) -> tuple[DatasetConfig, str]:
    """Fill `folder` with a dataset, and choose settings for it and the kind of a run."""
    rng = random.Random(seed)
    data = folder / "data"
    data.mkdir()
    files = dict(_files(rng))
    path = data
    if rng.random() < 0.25:
        path = _pack(rng, files, folder)
    else:
        _write(rng, files, data)
        _links(rng, data, folder / "secret.png")
        if rng.random() < 0.1:
            path = data / rng.choice(LISTS)
    settings: dict[str, Any] = {
        "path": str(path),
        "subfolders": rng.random() < 0.5,
        "captions_from": rng.choice(["auto", "auto", "auto", "sidecars", "names", "none"]),
        "caption_lines": rng.choice(["join", "first", "draw"]),
        "masks": rng.choice(
            ["auto", "auto", "alpha", "none", "_mask", str(data / "m") if (data / "m").is_dir() else "auto"]
        ),
        "type": rng.choice(["train", "validation", "regularisation"]),
        "caption": rng.choice([None, "a cat", "[trigger]", "\ud800"]),
    }
    if rng.random() < 0.05:
        settings["captions_file"] = str(data / rng.choice([*LISTS, "a.txt", "gone.txt"]))
    kind = rng.choice(["character", "character", "edit"])
    if kind == "edit" and rng.random() < 0.2:
        settings["controls"] = [str(data / name) for name in rng.sample(("before", "m", "inner", "gone"), 2)]
    return DatasetConfig.model_validate(settings), kind


def _files(rng: random.Random) -> Iterator[tuple[bytes, bytes]]:
    """Names (raw, below the dataset) and contents."""
    for _ in range(rng.randint(1, 8)):
        stem = rng.choice(["a", "b", "a", _name(rng)]) + rng.choice(ENDINGS)
        base = (rng.choice(FOLDERS) + stem).encode("utf-8", "surrogateescape")
        yield base + rng.choice(SUFFIXES).encode(), mutated(rng, picture(rng))
        if rng.random() < 0.6:
            yield base + rng.choice(TEXTS).encode(), _text(rng)
        if rng.random() < 0.3:
            yield base + b".crop.json", _crop(rng)
    if rng.random() < 0.5:
        yield rng.choice(LISTS).encode(), mutated(rng, _list(rng), 0.3)


def _name(rng: random.Random) -> str:
    signs = (
        rng.choice(
            [
                rng.randint(1, 0x7F),
                rng.randint(0x80, 0x2FFF),
                rng.randint(0x4E00, 0xD7FF),
                rng.randint(0x1F300, 0x1FAFF),
                rng.randint(0xDC80, 0xDCFF),
            ]
        )
        for _ in range(rng.randint(1, 12))
    )
    return "".join(map(chr, signs)).replace("/", "_").strip() or "x"  # fmt: skip


def picture(rng: random.Random) -> bytes:
    """A sound picture file of any format, often with EXIF and a profile; at times one that is large when unpacked."""
    if rng.random() < 0.08:
        from tests.dataset.samples import HEIC

        return HEIC
    side = 4000 if rng.random() < 0.02 else rng.randint(12, 60)
    image = Image.new(rng.choice(MODES), (side, rng.randint(12, 60)))
    if side < 100 and image.mode in ("RGB", "RGBA", "L"):
        image.frombytes(rng.randbytes(len(image.tobytes())))
    form = rng.choice(FORMATS)
    extra: dict[str, Any] = {}
    if rng.random() < 0.4:
        exif = Image.Exif()
        for _ in range(rng.randint(1, 5)):
            exif[rng.choice([0x0112, 0x8769, 0x8825, 0x010F, rng.randint(0, 0xFFFF)])] = rng.choice([6, 99, "x" * 999])
        extra["exif"] = exif
    if rng.random() < 0.3:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile(rng.choice(["sRGB", "LAB", "XYZ"]))).tobytes()
        extra["icc_profile"] = mutated(rng, profile)
    if rng.random() < 0.2:
        extra |= {"save_all": True, "append_images": [image.copy()]}
    if form == "AVIF":
        extra = {}  # its encoder crashes on nonsense; what is read is mutated afterwards
    for attempt in (extra, {}):
        for one in (
            image,
            image.convert("RGB") if image.mode not in ("I", "F", "I;16", "LAB") else Image.new("L", (9, 9)),
        ):
            sink = io.BytesIO()
            try:
                one.save(sink, form, **attempt)
            except Exception:  # not every format takes every mode, and EXIF of nonsense
                continue
            return sink.getvalue()
    return b""


def mutated(rng: random.Random, data: bytes, chance: float = 0.6) -> bytes:
    """The bytes with a few changes of the kind that readers trip over."""
    if rng.random() > chance or not data:
        return data
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 16, 64])):
        at = min(rng.randrange(len(out)), rng.randrange(max(len(out) // 4, 1)) if rng.random() < 0.6 else len(out))
        what = rng.random()
        if what < 0.35:
            out[min(at, len(out) - 1)] ^= 1 << rng.randrange(8)
        elif what < 0.65:
            size, order = rng.choice([("B", "<"), ("H", "<"), ("H", ">"), ("I", "<"), ("I", ">")])
            value = rng.choice(EXTREMES) & ((1 << 8 * struct.calcsize(size)) - 1)
            packed = struct.pack(order + size, value)
            out[at : at + len(packed)] = packed
        elif what < 0.75:
            del out[at:]
        elif what < 0.85:
            del out[at : at + rng.randint(1, 50)]
        elif what < 0.95:
            out[at:at] = out[max(0, at - 40) : at] * rng.randint(1, 5)
        else:
            out[at:at] = rng.randbytes(rng.randint(1, 200))
        if not out:
            break
    return bytes(out)


def _text(rng: random.Random) -> bytes:
    return rng.choice([b"a cat", b"", b"\xff\xfe", b"[trigger] x\n\ny", "猫\u2028x".encode(), rng.randbytes(40), b"\0a",
                       b'{"caption": "a cat"}', b'{"tags": {}}', b"[" * 100_000, b"1" * 5000, b"\n" * 9])  # fmt: skip


def _crop(rng: random.Random) -> bytes:
    def value() -> Any:
        return rng.choice([0, 0.1, 0.5, 1, 8, 16, 20, -1, 1e308, float("nan"), float("inf"), "1", None, []])

    box = json.dumps({key: value() for key in rng.sample(("x", "y", "width", "height", "z"), rng.choice([4, 5, 5, 5]))})
    return rng.choice(
        [
            box,
            '{"x": 0, "y": 0, "width": 20, "height": 16}',
            '{"x": 0, "y": 0, "width": 0.5, "height": 1}',
            "[" * 9999,
            "",
        ]
    ).encode()


def _list(rng: random.Random) -> bytes:
    def value() -> Any:
        return rng.choice(PATHS) if rng.random() < 0.6 else rng.choice(VALUES)

    rows = [{rng.choice(KEYS): value() for _ in range(rng.randint(1, 5))} for _ in range(rng.randint(1, 6))]
    what = rng.random()
    if what < 0.5:
        return "\n".join(map(json.dumps, rows)).encode()
    if what < 0.65:
        return json.dumps(rows).encode()
    if what < 0.8:
        return json.dumps({str(rng.choice(PATHS)): rng.choice([row, value()]) for row in rows}).encode()
    lines = [",".join(KEYS[:5]), *(",".join(f'"{value()}"' for _ in range(rng.randint(1, 7))) for _ in rows)]
    return "\n".join(lines).encode("utf-8", "replace")


def _write(rng: random.Random, files: dict[bytes, bytes], data: Path) -> None:
    for name, content in files.items():
        file = os.path.join(os.fsencode(data), name)
        try:
            os.makedirs(os.path.dirname(file), exist_ok=True)
            with open(file, "wb") as f:
                f.write(content)
        except (OSError, ValueError):  # no name for this file system
            continue


def _links(rng: random.Random, data: Path, secret: Path) -> None:
    targets = {"link.png": secret, "link.txt": secret.with_suffix(".txt"), "folder": secret.parent, "loop": data,
               "self.png": data / "self.png", "gone.png": data / "gone"}  # fmt: skip
    for name, target in targets.items():
        if rng.random() < 0.3 and not (data / name).exists():
            (data / name).symlink_to(target)
    if rng.random() < 0.1:
        os.mkfifo(data / "pipe.png")


def _pack(rng: random.Random, files: dict[bytes, bytes], folder: Path) -> Path:
    names = [name.decode("utf-8", "replace") for name in files]
    hostile = ("../secret.png", "/tmp/a.png", "..\\a.png", "C:a.png", "aux.png", "a.png", "A.png", "b/../a.png")
    names = [rng.choice(hostile) if rng.random() < 0.04 else name for name in names]
    sink = io.BytesIO()
    if rng.random() < 0.7:
        with zipfile.ZipFile(sink, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])) as z:
            for name, content in zip(names, files.values(), strict=True):
                info = zipfile.ZipInfo(name)
                info.external_attr = rng.choice([0] * 40 + [0o120777, 0o010777]) << 16
                z.writestr(
                    info, content * rng.choice([1, 1, 1, 3000]) if len(content) < 9999 else content, z.compression
                )
        path = folder / "set.zip"
    else:
        with tarfile.open(fileobj=sink, mode="w") as tar:
            for name, content in zip(names, files.values(), strict=True):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                info.type = rng.choice([tarfile.REGTYPE] * 40 + [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
                info.linkname = "../secret.png"
                tar.addfile(info, io.BytesIO(content))
        path = folder / "set.tar"
    path.write_bytes(mutated(rng, sink.getvalue(), 0.3))
    return path


# --- judging it


def run_case(seed: int) -> Counter[str]:
    """Read one case and check what came of it. Raises AssertionError, or whatever should not have been raised."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        Image.new("RGB", (33, 33), "red").save(folder / "secret.png")
        (folder / "secret.txt").write_text(SECRET)
        settings, kind = make_case(seed, folder)
        before = _snapshot(folder)
        with Index(folder / "kept" / "index.sqlite") as index:
            reading = read_dataset(settings, index=index, store=folder / "kept", kind=kind, trigger="mia")
            again = read_dataset(settings, index=index, store=folder / "kept", kind=kind, trigger="mia")
            assert again == reading, "another answer the second time"
            _check(reading, folder)
            figures = _use(reading, settings, kind, folder, index)
        shutil.rmtree(folder / "kept")
        assert _snapshot(folder) == before, "something was written outside of the folder for it"
        figures += _decode(random.Random(-seed), folder)
        figures += Counter({"examples": len(reading.examples), "notes": len(reading.notes)})
        figures.update(f"problem {p.check}" for p in reading.problems)
        return figures


def _use(reading: Reading, settings: DatasetConfig, kind: str, folder: Path, index: Index) -> Counter[str]:
    """What is done with a dataset besides training on it; `_snapshot` tells afterwards whether all was taken back."""
    examples, wrong_crops = with_crops(reading.examples)
    found = findings(measure_all(examples, Rules(kind, 48, 16, 48), index)) if examples else []
    for line in [*wrong_crops, *(f"{f.message} {f.fix}" for f in found)]:
        assert "\n" not in line and "\x1b" not in line, f"not one plain line: {line!r}"
    remarks = [Remark(f.severity, f.check, f.images, f.message, f.fix) for f in found]
    entries = [Entry(e.path, e.references, e.caption, e.width, e.height, e.repeats) for e in examples]
    boxes = {e.path: e.crop for e in examples}
    sheet = render_sheet(
        "fuzz", [], entries, remarks, reading.notes, lambda path: cut_out(open_rgb(Path(path)), boxes.get(path))
    )
    assert SECRET not in sheet and '<div class="empty">' not in sheet
    changes = mend(Path(settings.path), examples) if Path(settings.path).is_dir() else []
    if changes:
        done, left = undo(Path(settings.path))
        assert not left and len(done) == len(changes), left
    with suppress(InputError):
        places = find_places(settings, kind)
        record = Authorship(places.root)
        assert all(record.author(place) in ("nobody", "person") for place in places.places)
    with suppress(InputError):
        sort_folder(folder / "data", 40)
    return Counter({"crop boxes": sum(e.crop is not None for e in examples), "crop boxes refused": len(wrong_crops),
                    "findings": len(found), "repairs taken back": len(changes)})  # fmt: skip


def _decode(rng: random.Random, folder: Path) -> Counter[str]:
    """Single pictures, which are quicker than datasets: sound in every way, or refused."""
    figures: Counter[str] = Counter()
    for _ in range(PICTURES_PER_CASE):
        file = folder / f"single{rng.choice(SUFFIXES)}"
        file.write_bytes(mutated(rng, picture(rng), 0.95))
        try:
            facts = measure(file)
        except InputError:
            figures["single pictures refused"] += 1
        else:
            assert open_rgb(file).size == open_alpha(file).size == (facts.width, facts.height)
            figures["single pictures read"] += 1
        file.unlink()
    return figures


def _check(reading: Reading, folder: Path) -> None:
    for line in [*(p.message for p in reading.problems), *reading.notes]:
        assert "\n" not in line and "\x1b" not in line, f"not one plain line: {line!r}"
        line.encode()
        assert SECRET not in line
    assert all("Fix: " in p.message for p in reading.problems), reading.problems
    allowed = tuple(os.path.realpath(folder / inner) + os.sep for inner in ("data", "kept"))
    for e in reading.examples:
        for path in (e.path, *e.references, *([e.mask] if e.mask else ())):
            assert os.path.realpath(path).startswith(allowed), f"outside of the folder: {path}"
        image = open_rgb(Path(e.path))  # what was measured can be shown
        assert image.size == (e.width, e.height), "not the size that was measured"
        if e.mask:
            open_mask(Path(e.path), Path(e.mask))
        for reference, size in zip(e.references, e.reference_sizes, strict=True):
            assert open_rgb(Path(reference)).size == size
        for text in (e.caption, *e.captions):
            text.encode()
            assert SECRET not in text and "\n" not in text
    manifest = folder / "kept" / "manifest.jsonl"
    write_manifest(manifest, reading.examples)
    assert read_manifest(manifest) == [replace(e) for e in reading.examples]


def _snapshot(folder: Path) -> set[tuple[bytes, int]]:
    found: set[tuple[bytes, int]] = set()
    for here, folders, names in os.walk(os.fsencode(folder)):
        if here == os.fsencode(folder):
            folders[:] = [f for f in folders if f != b"kept"]
        folders[:] = [f for f in folders if f != b".likeness"]  # what mending keeps
        found |= {(os.path.join(here, n), os.lstat(os.path.join(here, n)).st_size) for n in names}
    return found


# --- many


def child(first: int, count: int) -> None:
    """Run cases one after the other, saying on stdout which one begins and what came of it."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for seed in range(first, first + count):
        print(f"begin {seed}", flush=True)
        began = time.monotonic()
        try:
            answer: dict[str, Any] = dict(run_case(seed))
        except InputError as e:
            answer = {"fault": f"InputError after it was measured: {e}"}
        except Exception as e:
            answer = {"fault": f"{type(e).__name__}: {e}"}
        answer["seconds"] = time.monotonic() - began
        answer["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps({"seed": seed, **answer}), flush=True)


def campaign(minutes: float, seed: int, log: Path | None) -> int:
    """Run cases until the time is up; the number of faults found."""
    figures: Counter[str] = Counter()
    faults: list[str] = []
    slowest, largest, began = 0.0, 0, time.monotonic()
    sink = log.open("w") if log else None
    while time.monotonic() - began < minutes * 60:
        command = [sys.executable, "-m", "benchmarks.fuzz_dataset", "--child", str(seed)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        last = seed - 1
        for line in process.stdout:
            if line.startswith("begin "):
                last = int(line.split()[1])
                continue
            answer = json.loads(line)
            if sink:
                sink.write(line)
                sink.flush()
            slowest, largest = max(slowest, answer["seconds"]), max(largest, answer["peak_mib"])
            if fault := answer.get("fault"):
                faults.append(f"seed {answer['seed']}: {fault}")
            if answer["seconds"] > MOST_SECONDS:
                faults.append(f"seed {answer['seed']}: took {answer['seconds']:.0f} s")
            figures["cases"] += 1
            figures.update({k: v for k, v in answer.items() if isinstance(v, int) and k not in ("seed", "peak_mib")})
            if time.monotonic() - began > minutes * 60:
                process.terminate()
                break
        code = process.wait()
        if code not in (0, -15):
            faults.append(f"seed {last}: the process ended with {code}")
            figures["cases"] += 1
        seed = max(last + 1, seed + 1)
    print(f"{(time.monotonic() - began) / 60:.1f} minutes, {figures.pop('cases')} cases, {len(faults)} faults; "
          f"slowest {slowest:.1f} s, largest process {largest} MiB")  # fmt: skip
    print("; ".join(f"{name}: {count}" for name, count in sorted(figures.items())))
    for fault in faults:
        print(fault)
    return len(faults)


def main() -> None:
    """Parse, run, and end with 1 where something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1, help="of the first case")
    parser.add_argument("--log", type=Path, help="one JSON line for each case")
    parser.add_argument("--case", type=int, metavar="SEED", help="run this case alone, with its traceback")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        child(options.child, CASES_PER_PROCESS)
    elif options.case is not None:
        print(dict(run_case(options.case)))
    else:
        sys.exit(1 if campaign(options.minutes, options.seed, options.log) else 0)


if __name__ == "__main__":
    main()
