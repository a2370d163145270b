import re
from html import unescape
from pathlib import Path

from PIL import Image

from likeness.report.sheet import MOST_PICTURES, Entry, Remark, render_sheet

HOSTILE = "<script>document.title='pwned'</script>&\"'"


def entry(path: str, caption: str = "a cat", references: tuple[str, ...] = ()) -> Entry:
    return Entry(path, references, caption, 64, 64, 1)


def render(entries: list[Entry], remarks: list[Remark], notes: list[str] | None = None) -> str:
    return render_sheet("cats", [("kind", "edit")], entries, remarks, notes or [])


def test_each_picture_has_its_findings_beside_it(tmp_path: Path):
    for name in ("a", "b"):
        Image.new("RGB", (300, 200), "red").save(tmp_path / f"{name}.png")
    a, b = (str(tmp_path / f"{name}.png") for name in ("a", "b"))
    html = render([entry(a), entry(b, references=(a,))], [Remark("error", "size", (b,), "Too small.", "Use larger.")])
    first, second = html.split('<li class="card')[1:]
    assert "size" not in first and first.count("data:image/webp") == 1
    assert "size" in second and second.count("data:image/webp") == 2 and "before" in second
    assert "Too small." in html and "Use larger." in html


def test_nothing_is_taken_for_markup_and_nothing_is_fetched(tmp_path: Path):
    remark = Remark("warning", HOSTILE, (HOSTILE,), HOSTILE, HOSTILE)
    html = render([entry(f"/data/{HOSTILE}.png", HOSTILE)], [remark], [HOSTILE])
    assert "<script>document" not in html
    assert not re.search(r"(src|href)=\"(?!data:)", html)
    assert "default-src 'none'" in unescape(html)


def test_pictures_that_are_gone_and_remarks_about_the_whole():
    html = render([entry("/nowhere/a.png")], [Remark("warning", "count", (), "Few.", "Add some.")])
    assert "cannot be shown" in html and "Few." in html and "Show the" not in html


def test_what_could_not_be_read_is_named_without_its_folder():
    html = render([], [Remark("error", "unreadable", ("/home/me/broken.png",), "Damaged.", "Replace it.")])
    assert "broken.png" in html and "/home/me" not in html


def test_of_very_many_those_with_findings_are_shown():
    entries = [entry(f"/nowhere/{n}.png") for n in range(MOST_PICTURES + 100)]
    last = entries[-1].path
    html = render(entries, [Remark("warning", "blur", (last,), "Blurred.", "Leave it out.")])
    assert html.count('<li class="card') == MOST_PICTURES
    assert Path(last).name in html and f"{MOST_PICTURES} of {MOST_PICTURES + 100} shown" in html
