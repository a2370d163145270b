import hashlib
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image, ImageCms

from likeness.dataset.ingest import measure, open_rgb, read_folder, unused_files
from likeness.dataset.manifest import Example
from likeness.errors import InputError

Picture = Callable[..., Path]
WHITE = {"RGB": (255, 255, 255), "L": 255, "CMYK": (0, 0, 0, 0)}
LABEL = "maya.yaml:5: data.datasets[0].path"


def read(path: Path, **changes: object) -> list[Example]:
    options: dict[str, object] = {"repeats": 3, "caption": None, "dataset": 1, "label": LABEL}
    return read_folder(path, **{**options, **changes})  # type: ignore[arg-type]


def problems(path: Path, **changes: object) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        read(path, **changes)
    assert all(p.startswith(f"{LABEL}: ") and "\n" not in p for p in caught.value.problems)
    return caught.value.problems


def png(width: int, height: int, depth: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG from raw rows, for what Pillow cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


# --- folders ---


def test_a_folder_is_read_in_natural_order(tmp_path: Path, picture: Picture):
    names = ["img10.png", "img2.JPG", "IMG1.webp", "more/b.bmp", "more/deep/a.jpeg"]
    for name in names:
        picture(name, caption=f"shows {name}")
    examples = read(tmp_path)
    expected = ["IMG1.webp", "img2.JPG", "img10.png", "more/b.bmp", "more/deep/a.jpeg"]
    assert [Path(e.path).relative_to(tmp_path).as_posix() for e in examples] == expected
    assert [e.caption for e in examples] == [f"shows {name}" for name in expected]
    for e in examples:
        data = Path(e.path).read_bytes()
        assert e.sha256 == hashlib.sha256(data).hexdigest()
        assert e.id == e.sha256[:16]
        assert (e.width, e.height, e.repeats, e.dataset) == (24, 20, 3, 1)
        assert e.reference is None and not e.held_out


def test_paths_are_absolute_even_where_the_folder_was_not(
    tmp_path: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
):
    file = picture("photos/a.png", caption="x")
    monkeypatch.chdir(tmp_path)
    assert read(Path("photos"))[0].path == str(file)


def test_hidden_and_system_files_are_skipped(tmp_path: Path, picture: Picture):
    picture("a.png", caption="x")
    for name in [".b.png", "._a.png", ".cache/c.png", ".DS_Store", "Thumbs.db"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no picture")
    assert len(read(tmp_path)) == 1
    assert unused_files(tmp_path, LABEL) == []


def test_linked_folders_are_read_once(tmp_path: Path, picture: Picture):
    picture("real/a.png", caption="x")
    (tmp_path / "data").mkdir()
    os.symlink(tmp_path / "real", tmp_path / "data" / "linked")
    for name in ["circle", "second_circle"]:  # two, so that following them blindly would never end
        os.symlink(tmp_path / "data", tmp_path / "data" / name)
    assert len(read(tmp_path / "data")) == 1


def test_captions_fall_back_to_the_dataset(tmp_path: Path, picture: Picture):
    picture("a.png", caption="own words")
    picture("b.png")
    assert [e.caption for e in read(tmp_path, caption=" of the\nset ")] == ["own words", "of the set"]
    assert [e.caption for e in read(tmp_path, require_caption=False)] == ["own words", ""]


def test_one_changed_byte_changes_the_id(tmp_path: Path, picture: Picture):
    file = picture("a.bmp", caption="x")
    before = read(tmp_path)[0]
    file.write_bytes(file.read_bytes()[:-1] + b"\x07")
    after = read(tmp_path)[0]
    assert before.id != after.id and before.sha256 != after.sha256


# --- refused input ---


def test_a_missing_folder_is_told(tmp_path: Path):
    (problem,) = problems(tmp_path / "nowhere")
    assert "nowhere does not exist" in problem


def test_a_file_in_place_of_a_folder_is_told(picture: Picture):
    (problem,) = problems(picture("a.png"))
    assert "is a file, not a folder" in problem


def test_a_folder_without_pictures_says_what_it_holds(tmp_path: Path):
    for name in ["a.heic", "b.HEIC", "c.mp4", "LICENSE", ".hidden.png"]:
        (tmp_path / name).write_bytes(b"x")
    (problem,) = problems(tmp_path)
    assert "PNG, JPEG, WebP and BMP are read; found 2 .heic, 1 .mp4, 1 without suffix instead" in problem


def test_an_empty_folder_is_told(tmp_path: Path):
    (problem,) = problems(tmp_path)
    assert "found nothing instead" in problem


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp"])
@pytest.mark.parametrize("kept", [0.5, 0.95])
def test_pictures_cut_off_are_told(tmp_path: Path, picture: Picture, suffix: str, kept: float):
    picture("good.png", caption="x")
    file = picture(f"bad.{suffix}", size=(200, 200), caption="x")
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * kept)])
    (problem,) = problems(tmp_path)
    assert f"bad.{suffix}" in problem and "damaged" in problem


@pytest.mark.parametrize(
    ("content", "what"), [(b"", "empty file"), (b"hello", "none of PNG"), (b"\x89PNG\r\n\x1a\n" + b"x" * 50, "damaged")]
)
def test_files_that_are_no_pictures_are_told(tmp_path: Path, content: bytes, what: str):
    (tmp_path / "bad.png").write_bytes(content)
    (problem,) = problems(tmp_path, caption="x")
    assert "bad.png" in problem and what in problem


def test_other_formats_under_a_known_name_are_refused(tmp_path: Path):
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png", format="TIFF")
    (problem,) = problems(tmp_path, caption="x")
    assert "none of PNG, JPEG, WebP and BMP" in problem


def test_links_to_nothing_and_pipes_are_told(tmp_path: Path):
    os.symlink(tmp_path / "gone.png", tmp_path / "link.png")
    os.mkfifo(tmp_path / "pipe.png")
    found = problems(tmp_path, caption="x")
    assert len(found) == 2 and all("not a plain file" in p for p in found)


def test_tiny_pictures_are_told(tmp_path: Path, picture: Picture):
    picture("a.png", size=(16, 16))
    picture("b.png", size=(15, 400))
    (problem,) = problems(tmp_path, caption="x")
    assert "b.png: is 15x400" in problem


@pytest.mark.parametrize(("width", "height"), [(10_001, 10_000), (60_000, 60_000)])
def test_too_many_pixels_are_refused_from_the_header(tmp_path: Path, width: int, height: int):
    (tmp_path / "a.png").write_bytes(png(width, height, 8, 2, b""))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (problem,) = problems(tmp_path, caption="x")
    assert "more than the 100 megapixels" in problem


def test_large_pictures_below_the_cap_pass_without_warnings(tmp_path: Path):
    width, height = 9_700, 10_000  # Pillow warns from 89 megapixels on
    rows = (b"\0" + bytes((width + 7) // 8)) * height  # one bit per pixel
    (tmp_path / "a.png").write_bytes(png(width, height, 1, 0, rows))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert measure(tmp_path / "a.png").width == width


def test_all_problems_are_told_at_once(tmp_path: Path, picture: Picture):
    picture("a.png", caption=" ")
    picture("b.png").with_suffix(".txt").write_bytes(b"\xff\xfe")
    picture("c.png")
    picture("d.png", caption="x").write_bytes(b"junk")
    picture("e.png", caption="fine")
    found = problems(tmp_path)
    assert len(found) == 4
    for file, what in [
        ("a.txt", "the caption is empty"),
        ("b.txt", "not UTF-8"),
        ("c.png", "has no caption. Write c.txt beside it, or set `caption:`"),
        ("d.png", "none of PNG"),
    ]:
        assert any(f"{file}: " in p and what in p for p in found), (file, found)


# --- warnings ---


def test_unused_files_are_named_with_a_guess(tmp_path: Path, picture: Picture):
    picture("portrait_01.png")
    picture("b.png", caption="x")
    for name in ["portrait_1.txt", "b.png.txt", "README.md", "c.HEIC"]:
        (tmp_path / name).write_text("x")
    lines = unused_files(tmp_path, LABEL)
    assert len(lines) == 3
    assert any("b.png.txt is left out" in line and "must be that of a picture" in line for line in lines)
    assert any("portrait_1.txt is left out" in line and "portrait_01.png.txt" not in line for line in lines)
    assert any("Did you mean portrait_01.txt?" in line for line in lines)
    assert any("c.HEIC" in line and "Convert" in line for line in lines)


# --- pixels ---


def corner_file(path: Path, orientation: int, suffix: str) -> Path:
    """A 64x32 picture, red in what a viewer shows as its upper left quarter once turned."""
    upright = Image.new("RGB", (64, 32), "blue")
    upright.paste((255, 0, 0), (0, 0, 32, 16))
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,  # the inverse of what a viewer does
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = upright.transpose(stored) if stored is not None else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = path / f"turned{orientation}.{suffix}"
    image.save(file, exif=exif)
    return file


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_exif_says(tmp_path: Path, orientation: int, suffix: str):
    file = corner_file(tmp_path, orientation, suffix)
    facts = measure(file)
    image = open_rgb(file)
    assert (facts.width, facts.height) == image.size == (64, 32)
    red, *blues = (image.getpixel(p) for p in [(8, 6), (56, 6), (8, 26), (56, 26)])
    assert isinstance(red, tuple) and red[0] > 200 and red[2] < 60
    assert all(isinstance(b, tuple) and b[0] < 60 and b[2] > 200 for b in blues)


def test_damaged_exif_does_not_cost_the_picture(tmp_path: Path):
    file = tmp_path / "a.jpg"
    Image.new("RGB", (32, 24), "red").save(file, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff junk")
    assert measure(file).width == 32
    assert open_rgb(file).size == (32, 24)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_lies_on_white(tmp_path: Path, mode: str):
    file = tmp_path / "a.png"
    if mode == "P":
        image = Image.new("P", (20, 20), 1)
        image.putpalette([0, 0, 0, 10, 10, 10])
        image.paste(0, (0, 0, 10, 20))
        image.save(file, transparency=0)
    else:
        image = Image.new(mode, (20, 20), (10,) * (len(mode) - 1) + (255,))
        image.paste((10,) * (len(mode) - 1) + (0,), (0, 0, 10, 20))
        image.save(file)
    rgb = open_rgb(file)
    assert rgb.mode == "RGB"
    assert rgb.getpixel((2, 2)) == (255, 255, 255)
    assert rgb.getpixel((18, 2)) == (10, 10, 10)


def test_half_transparent_is_half_white(tmp_path: Path):
    Image.new("RGBA", (16, 16), (255, 0, 0, 128)).save(tmp_path / "a.webp", lossless=True)
    assert open_rgb(tmp_path / "a.webp").getpixel((3, 3)) == (255, 127, 127)


def test_sixteen_bits_become_eight(tmp_path: Path):
    ramp = list(range(0, 65536, 257))
    row = b"\0" + b"".join(struct.pack(">H", v) for v in ramp)
    trns = struct.pack(">I", 2) + b"tRNS" + b"\0\x07" + struct.pack(">I", zlib.crc32(b"tRNS\0\x07"))
    for name, extra in [("plain", b""), ("keyed", trns)]:
        file = tmp_path / f"{name}.png"
        file.write_bytes(png(256, 16, 16, 0, row * 16, extra))
        rgb = open_rgb(file)
        assert [rgb.getpixel((x, 5)) for x in range(256)] == [(v, v, v) for v in range(256)]
    colours = b"\0" + b"".join(struct.pack(">HHH", v, 65535 - v, 0) for v in ramp)
    (tmp_path / "rgb.png").write_bytes(png(256, 16, 16, 2, colours * 16))
    assert open_rgb(tmp_path / "rgb.png").getpixel((200, 3)) == (200, 55, 0)


def test_colour_profiles_are_applied(tmp_path: Path):
    swapped = swapped_profile()
    Image.new("RGB", (16, 16), (255, 0, 0)).save(tmp_path / "profiled.png", icc_profile=swapped)
    Image.new("RGB", (16, 16), (255, 0, 0)).save(tmp_path / "plain.png")
    assert open_rgb(tmp_path / "plain.png").getpixel((1, 1)) == (255, 0, 0)
    red, green, _ = pixel(open_rgb(tmp_path / "profiled.png"))
    assert green > 200 and red < 60


def test_profiles_and_transparency_go_together(tmp_path: Path):
    image = Image.new("RGBA", (16, 16), (255, 0, 0, 255))
    image.paste((255, 0, 0, 0), (8, 0, 16, 16))
    image.save(tmp_path / "a.png", icc_profile=swapped_profile())
    rgb = open_rgb(tmp_path / "a.png")
    assert pixel(rgb)[1] > 200
    assert rgb.getpixel((12, 1)) == (255, 255, 255)


def test_srgb_profiles_change_nothing_to_speak_of(tmp_path: Path):
    profile = srgb_profile()
    Image.new("RGB", (16, 16), (200, 100, 50)).save(tmp_path / "a.png", icc_profile=profile)
    assert all(abs(a - b) <= 1 for a, b in zip(pixel(open_rgb(tmp_path / "a.png")), (200, 100, 50), strict=True))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("profile", [b"not a profile", b""])
def test_broken_profiles_are_ignored(tmp_path: Path, mode: str, profile: bytes):
    file = tmp_path / "a.jpg"
    Image.new(mode, (16, 16), WHITE[mode]).save(file, icc_profile=profile)
    assert open_rgb(file).getpixel((1, 1)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_profiles_of_another_colour_space_do_no_harm(tmp_path: Path, mode: str):
    profile = srgb_profile()
    Image.new(mode, (16, 16), WHITE[mode]).save(tmp_path / "a.jpg", icc_profile=profile)
    assert min(pixel(open_rgb(tmp_path / "a.jpg"))) >= 254


def test_every_mode_comes_out_as_rgb(tmp_path: Path):
    for mode in ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"]:
        file = tmp_path / "a.png"
        Image.new(mode, (20, 18)).save(file)
        image = open_rgb(file)
        assert (image.mode, image.size) == ("RGB", (20, 18)), mode


def test_animations_give_their_first_frame(tmp_path: Path):
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert open_rgb(tmp_path / "a.png").getpixel((1, 1)) == (255, 0, 0)
    assert open_rgb(tmp_path / "a.webp").getpixel((1, 1)) == (255, 0, 0)


def test_open_refuses_what_measure_refuses(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"a\.png"):
        open_rgb(tmp_path / "a.png")
    with pytest.raises(InputError, match="not there"):
        open_rgb(tmp_path / "b.png")


def pixel(image: Image.Image) -> tuple[int, ...]:
    value = image.getpixel((1, 1))
    assert isinstance(value, tuple)
    return tuple(int(v) for v in value)


def srgb_profile() -> bytes:
    profile = cast(Any, ImageCms.createProfile("sRGB"))  # pyright: ignore[reportUnknownMemberType]
    return ImageCms.ImageCmsProfile(profile).tobytes()


def swapped_profile() -> bytes:
    """sRGB with its red and green primaries exchanged, so that its effect cannot be missed."""
    data = bytearray(srgb_profile())
    count = struct.unpack_from(">I", data, 128)[0]
    for i in range(count):
        at = 132 + 12 * i
        name = bytes(data[at : at + 4])
        if name in (b"rXYZ", b"gXYZ"):
            data[at : at + 4] = b"gXYZ" if name == b"rXYZ" else b"rXYZ"
    return bytes(data)
