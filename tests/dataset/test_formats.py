import struct
import warnings
import zlib
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image, ImageCms

from likeness.dataset.formats import measure, open_alpha, open_rgb
from likeness.errors import InputError
from tests.dataset.samples import HEIC, write_picture

WHITE = {"RGB": (255, 255, 255), "L": 255, "CMYK": (0, 0, 0, 0)}


def png(width: int, height: int, depth: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG from raw rows, for what Pillow cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


# --- files that are no pictures, or too much of one ---


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "gif", "tif", "avif", "heic"])
@pytest.mark.parametrize("kept", [0.5, 0.95])
def test_pictures_cut_off_are_told(tmp_path: Path, suffix: str, kept: float):
    file = tmp_path / f"bad.{suffix}"
    if suffix == "heic":
        file.write_bytes(HEIC)
    else:
        write_picture(file, (200, 200))
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(InputError, match=rf"bad\.{suffix}: is (damaged|none of)"):
        measure(file)


@pytest.mark.parametrize(
    ("content", "what"), [(b"", "empty file"), (b"hello", "none of PNG"), (b"\x89PNG\r\n\x1a\n" + b"x" * 50, "damaged"),
                          (b"\0\0\0\x1cftypheic" + b"x" * 50, "damaged")]
)  # fmt: skip
def test_files_that_are_no_pictures_are_told(tmp_path: Path, content: bytes, what: str):
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(InputError, match=what):
        measure(tmp_path / "bad.png")


def test_other_formats_under_a_known_name_are_refused(tmp_path: Path):
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png", format="TGA")
    with pytest.raises(InputError, match="none of PNG"):
        measure(tmp_path / "a.png")


def test_tiny_pictures_are_told(tmp_path: Path):
    assert measure(write_picture(tmp_path / "a.png", (16, 16))).width == 16
    with pytest.raises(InputError, match=r"b\.png: is 15x400"):
        measure(write_picture(tmp_path / "b.png", (15, 400)))


@pytest.mark.parametrize(("width", "height"), [(10_001, 10_000), (60_000, 60_000)])
def test_too_many_pixels_are_refused_from_the_header(tmp_path: Path, width: int, height: int):
    (tmp_path / "a.png").write_bytes(png(width, height, 8, 2, b""))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match="more than the 100 megapixels"):
            measure(tmp_path / "a.png")


def test_files_that_are_too_large_are_not_opened(tmp_path: Path):
    with (tmp_path / "a.png").open("wb") as f:
        f.truncate((1 << 30) + 1)  # takes no room
    with pytest.raises(InputError, match="larger than 1 GB"):
        measure(tmp_path / "a.png")


def test_large_pictures_below_the_cap_pass_without_warnings(tmp_path: Path):
    width, height = 9_700, 10_000  # Pillow warns from 89 megapixels on
    rows = (b"\0" + bytes((width + 7) // 8)) * height  # one bit per pixel
    (tmp_path / "a.png").write_bytes(png(width, height, 1, 0, rows))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert measure(tmp_path / "a.png").width == width


# --- pixels ---


def test_heic_is_read(tmp_path: Path):
    file = tmp_path / "a.heic"
    file.write_bytes(HEIC)
    assert (measure(file).width, measure(file).height) == (24, 16)
    left, right = pixels_at(file, (3, 8), (20, 8))
    assert left[0] > 200 > 60 > left[2] and right[2] > 200 > 60 > right[0]


@pytest.mark.parametrize("format", ["AVIF", "TIFF", "GIF", "BMP", "JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize("suffix", ["png", "avif"])
def test_a_format_is_known_by_its_content(tmp_path: Path, format: str, suffix: str):
    file = tmp_path / f"a.{suffix}"
    Image.new("RGB", (32, 24), "red").save(file, format=format)
    (red,) = pixels_at(file, (3, 3))
    assert red[0] > 240 and max(red[1:]) < 20


@pytest.mark.parametrize(("mode", "value"), [("I;16", 0xC8C8), ("F", 200.0), ("F", 200 / 255), ("I", 0xC8C8)])
def test_deep_grey_tiff_comes_out_as_it_looks(tmp_path: Path, mode: str, value: float):
    image = Image.new(mode, (16, 16), value)
    image.save(tmp_path / "a.tif")
    assert pixels_at(tmp_path / "a.tif", (2, 2)) == [(200, 200, 200)]


def test_lab_comes_out_as_rgb(tmp_path: Path):
    Image.new("LAB", (16, 16), (255, 128, 128)).save(tmp_path / "a.tif")
    assert min(pixels_at(tmp_path / "a.tif", (2, 2))[0]) > 245


@pytest.mark.parametrize("value", [float("nan"), -3.0, 1e9])
def test_brightness_without_a_scale_is_refused(tmp_path: Path, value: float):
    Image.new("F", (16, 16), value).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match="brightness"):
        measure(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16"])
def test_alpha_is_a_picture_of_its_own(tmp_path: Path, mode: str):
    file = tmp_path / "a.png"
    if mode in ("P", "I;16"):
        image = Image.new(mode, (20, 20), 1)
        image.paste(0, (0, 0, 10, 20))
        image.save(file, transparency=0)
    else:
        image = Image.new(mode, (20, 20), (9,) * (len(mode) - 1) + (255,))
        image.paste((9,) * (len(mode) - 1) + (0,), (0, 0, 10, 20))
        image.save(file)
    assert measure(file).transparent
    alpha = open_alpha(file)
    assert [alpha.getpixel((x, 5)) for x in (2, 18)] == [0, 255]


def test_alpha_is_turned_as_the_picture_is(tmp_path: Path):
    image = Image.new("RGBA", (40, 20), (9, 9, 9, 255))
    image.paste((9, 9, 9, 0), (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    alpha = open_alpha(tmp_path / "a.png")
    assert alpha.size == open_rgb(tmp_path / "a.png").size == (20, 40)
    assert [alpha.getpixel((5, y)) for y in (2, 38)] == [0, 255]
    Image.new("RGB", (16, 16)).save(tmp_path / "b.png")
    assert open_alpha(tmp_path / "b.png").getextrema() == (255, 255)


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


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif", "tiff"])
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


def pixels_at(file: Path, *places: tuple[int, int]) -> list[tuple[int, ...]]:
    image = open_rgb(file)
    assert image.mode == "RGB"
    return [cast(tuple[int, ...], image.getpixel(place)) for place in places]


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
