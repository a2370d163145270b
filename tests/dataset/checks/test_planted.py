"""Each check on a dataset with its fault planted, where nothing else is found, and on the same dataset without it."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from tests.dataset.checks.conftest import all_found, look, names

Plant = Callable[[Path], object]


def picture(folder: Path, name: str = "mika-03") -> Image.Image:
    with Image.open(folder / f"{name}.png") as image:
        return image.convert("RGB")


def changed(change: Callable[[Image.Image], Image.Image], name: str = "mika-03") -> Plant:
    return lambda folder: change(picture(folder, name)).save(folder / f"{name}.png")


def written(text: str, *stems: str) -> Plant:
    def write(folder: Path) -> None:
        for stem in stems or ("mika-03",):
            (folder / f"{stem}.txt").write_text(text)

    return write


def copied(change: Callable[[Image.Image], Image.Image]) -> Plant:
    def copy(folder: Path) -> None:
        change(picture(folder)).save(folder / "mika-13.png")
        (folder / "mika-13.txt").write_text("mika_char, another look at a sad girl in a city")

    return copy


def as_jpeg(quality: int) -> Plant:
    def save(folder: Path) -> None:
        picture(folder).save(folder / "mika-03.jpg", quality=quality)
        (folder / "mika-03.png").unlink()

    return save


def resaved(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=10)
    return Image.open(buffer).convert("RGB")


def letterboxed(image: Image.Image) -> Image.Image:
    ImageDraw.Draw(image).rectangle((0, 0, 128, 11), "black")
    ImageDraw.Draw(image).rectangle((0, 117, 128, 128), "black")
    return image


def marked(folder: Path) -> None:
    for n in range(1, 13):
        image = picture(folder, f"mika-{n:02d}")
        ImageDraw.Draw(image).text((62, 112), "(c) studio", "white")
        image.save(folder / f"mika-{n:02d}.png")


def one_place(folder: Path) -> None:
    """The figures as they are, the borders all from one picture."""
    place = picture(folder, "mika-01")
    middle = Image.new("L", place.size)
    ImageDraw.Draw(middle).rectangle((20, 18, 108, 128), 255)
    for n in range(1, 13):
        Image.composite(picture(folder, f"mika-{n:02d}"), place, middle).save(folder / f"mika-{n:02d}.png")


def longer(image: Image.Image) -> Image.Image:
    return image.crop((34, 0, 94, 128)).resize((120, 256), Image.Resampling.NEAREST)


def enlarged(image: Image.Image) -> Image.Image:
    return image.resize((64, 64)).resize((128, 128), Image.Resampling.BICUBIC)


def exact_copy(folder: Path) -> None:
    for suffix in (".png", ".txt"):
        shutil.copyfile(folder / f"mika-03{suffix}", folder / f"mika-13{suffix}")


def only(count: int) -> Plant:
    def remove(folder: Path) -> None:
        for n in range(count + 1, 13):
            (folder / f"mika-{n:02d}.png").unlink()

    return remove


ALL = {f"mika-{n:02d}" for n in range(1, 13)}
ONE, TWO = {"mika-03"}, {"mika-03", "mika-13"}
FAULTS: dict[str, tuple[Plant, str, str, set[str] | None]] = {
    "few": (only(4), "count", "warning", set()),
    "tiny": (changed(lambda i: i.resize((60, 60))), "size", "error", ONE),
    "small": (changed(lambda i: i.resize((100, 100))), "size", "warning", ONE),
    "copy": (exact_copy, "duplicates", "warning", TWO),
    "resized copy": (copied(lambda i: i.resize((160, 160))), "near_duplicates", "warning", TWO),
    "mirrored copy": (copied(ImageOps.mirror), "near_duplicates", "warning", TWO),
    "one place": (one_place, "same_background", "warning", None),
    "watermark": (marked, "watermark", "warning", None),
    "blurred": (changed(lambda i: i.filter(ImageFilter.GaussianBlur(1.5))), "blur", "warning", ONE),
    "enlarged": (changed(enlarged), "blur", "warning", ONE),
    "poor JPEG": (as_jpeg(40), "compression", "warning", ONE),
    "fair JPEG": (as_jpeg(65), "compression", "advice", ONE),
    "poor JPEG as PNG": (changed(resaved), "compression", "warning", ONE),
    "long": (changed(longer), "aspect", "advice", ONE),
    "letterbox": (changed(letterboxed), "borders", "warning", ONE),
    "no trigger": (written("a sad girl in a city"), "trigger", "warning", ONE),
    "no trigger anywhere": (written("a sad girl in some city", *ALL), "trigger", "error", ALL),
    "trigger in another case": (written("Mika_char, sad, in a city"), "trigger_spelling", "warning", ONE),
    "trigger misspelled": (written("mika_chat, sad, in a city"), "trigger_spelling", "warning", ONE),
    "trigger in two words": (written("mika char, sad, in a city"), "trigger_spelling", "warning", ONE),
    "trigger alone": (written("mika_char."), "caption", "advice", ONE),
    "one caption for many": (
        written("mika_char in a city", *sorted(ALL)[:6]), "caption_same", "warning", set(sorted(ALL)[:6]),
    ),
    "long caption": (written("mika_char" + " sees a thing," * 20), "caption_length", "warning", ONE),
    "instruction": (written("make it night with mika_char"), "caption_style", "warning", ONE),
    "two girls": (written("mika_char, two girls in a city"), "several_characters", "advice", ONE),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_pictures_is_found_and_nothing_else(mika: Path, fault: str):
    plant, check, severity, images = FAULTS[fault]
    plant(mika)
    found = look(mika)
    if fault == "no trigger anywhere":
        found.pop("caption_same")
    assert {f.check: f.severity for f in found.values()} == {check: severity}
    finding = found[check]
    assert names(finding) == images if images is not None else len(names(finding)) >= 8
    assert finding.message.endswith(".") and finding.fix.endswith(".")


def test_a_clean_dataset_has_no_findings(mika: Path, hats: Path):
    assert look(mika) == {}
    assert look(mika, resolution=None, caption_tokens=None) == {}
    assert look(hats, kind="edit") == {}


def test_more_than_fifty_are_advised_against(tmp_path: Path):
    for n in range(51):
        Image.effect_noise((48, 48), 20 + n).convert("RGB").save(tmp_path / f"{n}.png")
        (tmp_path / f"{n}.txt").write_text(f"mika_char in picture number {n}")
    count = look(tmp_path, resolution=48)["count"]
    assert count.severity == "advice" and "50" in count.message


def test_sizes_are_compared_with_one_another_where_no_base_is_known(mika: Path):
    changed(lambda i: i.resize((60, 60)))(mika)
    found = look(mika, resolution=None)
    assert {c: names(f) for c, f in found.items()} == {"size": ONE}


@pytest.mark.parametrize("size", [(208, 304), (336, 192), (160, 384), (250, 250)])
def test_usual_shapes_a_little_below_their_square_are_no_fault(tmp_path: Path, size: tuple[int, int]):
    for n in range(5):
        Image.effect_noise(size, 40 + 10 * n).convert("RGB").save(tmp_path / f"{n}.png")
        (tmp_path / f"{n}.txt").write_text(f"mika_char in picture number {n}")
    assert "size" not in look(tmp_path, resolution=256)


def test_of_several_resolutions_the_smallest_says_what_is_far_too_small(mika: Path):
    found = look(mika, resolution=300, smallest=128)
    assert found["size"].severity == "warning" and names(found["size"]) == ALL
    changed(lambda i: i.resize((60, 60)))(mika)
    changed(lambda i: i.resize((300, 300)), "mika-04")(mika)
    both = [f for f in all_found(mika, resolution=300, smallest=128) if f.check == "size"]
    assert [(f.severity, len(f.images)) for f in both] == [("error", 1), ("warning", 10)]
    assert "128x128" in both[0].message and "300x300" in both[1].message


def test_copies_are_named_with_what_they_copy(mika: Path):
    exact_copy(mika)
    assert "(mika-03.png = mika-13.png)" in look(mika)["duplicates"].message


def test_what_a_size_cuts_off_is_told(mika: Path):
    changed(lambda i: i.crop((48, 0, 80, 128)).resize((64, 256), Image.Resampling.NEAREST))(mika)
    found = look(mika, multiple=64)  # fits 64x256 as it is, 128x128 not at all
    assert "aspect_cut" not in found
    changed(lambda i: i.resize((96, 200), Image.Resampling.NEAREST), "mika-05")(mika)
    assert names(look(mika, multiple=64)["aspect_cut"]) == {"mika-05"}


@pytest.mark.parametrize(("kind", "checked"), [("product", True), ("style", False), ("environment", False)])
def test_only_a_subject_should_change_its_place(mika: Path, kind: str, checked: bool):
    one_place(mika)
    assert ("same_background" in look(mika, kind=kind)) is checked


def test_a_style_should_not_be_named(mika: Path):
    styles = look(mika, kind="style")  # each of these captions names its style
    assert styles["caption_style"].severity == "warning" and names(styles["caption_style"]) == ALL
    assert "style" in styles["caption_style"].message


# --- pairs


def pair(folder: Path, side: str, number: int = 3) -> Image.Image:
    with Image.open(folder / side / f"pair-{number:02d}.png") as image:
        return image.convert("RGB")


def after(change: Callable[[Path], Image.Image]) -> Plant:
    def plant(folder: Path) -> None:
        change(folder).save(folder / "after" / "pair-03.png")

    return plant


def moved(folder: Path) -> Image.Image:
    return pair(folder, "after").transform((128, 128), Image.Transform.AFFINE, (1, 0, -5, 0, 1, 2))


def smaller_before(folder: Path) -> None:
    pair(folder, "before").resize((120, 120)).save(folder / "before" / "pair-03.png")


def described(folder: Path) -> None:
    (folder / "after" / "pair-03.txt").write_text("a girl with a party hat in a meadow")


def unrelated(folder: Path) -> Image.Image:
    return ImageOps.flip(pair(folder, "after", 7))


PAIR_FAULTS: dict[str, tuple[Plant, str, str]] = {
    "no change": (after(lambda f: pair(f, "before")), "pair_same", "error"),
    "hardly a change": (
        after(lambda f: pair(f, "before").point(lambda v: min(255, v + 2))), "pair_same", "error"
    ),
    "moved": (after(moved), "pair_shift", "warning"),
    "unrelated": (after(unrelated), "pair_unrelated", "warning"),
    "of two sizes": (smaller_before, "pair_size", "advice"),
    "described": (described, "caption_style", "warning"),
}  # fmt: skip


@pytest.mark.parametrize("fault", PAIR_FAULTS)
def test_a_fault_in_a_pair_is_found_and_nothing_else(hats: Path, fault: str):
    plant, check, severity = PAIR_FAULTS[fault]
    plant(hats)
    found = look(hats, kind="edit")
    assert {f.check: f.severity for f in found.values()} == {check: severity}
    assert names(found[check]) == {"pair-03"}


def test_a_swapped_pair_is_suspected(hats: Path):
    """Made brighter in all pairs but one."""
    for n in range(1, 13):
        before, brighter = pair(hats, "before", n), pair(hats, "before", n).point(lambda v: min(255, v + 50))
        before, brighter = (brighter, before) if n == 3 else (before, brighter)
        before.save(hats / "before" / f"pair-{n:02d}.png")
        brighter.save(hats / "after" / f"pair-{n:02d}.png")
    assert {c: names(f) for c, f in look(hats, kind="edit").items()} == {"pair_swapped": {"pair-03"}}
