"""The self-contained report."""

import base64
import hashlib
import io
import re
import shlex
from html.parser import HTMLParser

from conftest import PROMPTS, RunWriter, colour
from PIL import Image

from likeness.report.history import read_history
from likeness.report.page import MOST_THUMBNAILS, render_report, write_report
from likeness.report.settings import read_settings
from likeness.report.usage import diffusers_script, sample_command

HOSTILE = """<img src=x onerror=alert(1)>"'</script><script>alert(2)</script>{{ 7*7 }}"""


class Page(HTMLParser):
    """Collects (tag, attributes) and the texts of elements with one kind of content."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def decode(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_it_is_written_into_the_run_folder(finished_run: RunWriter):
    path = write_report(finished_run.folder)
    assert path == finished_run.folder / "report.html"
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_it_fetches_nothing(finished_run: RunWriter):
    text = render_report(read_history(finished_run.folder))
    page = Page(text)
    assert not page.all("link") and not page.all("iframe")
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith("data:image/webp;base64,")
    style = "".join(re.findall(r"<style>(.*?)</style>", text, re.S))
    assert "url(" not in style and "@import" not in style
    assert "http" not in re.sub(r'content="width[^>]*|http-equiv', "", text)


def test_the_policy_allows_this_very_style_and_script_and_nothing_else(finished_run: RunWriter):
    text = render_report(read_history(finished_run.folder))
    policy = Page(text).all("meta")[1]["content"] or ""
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:"
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    assert not any(name.startswith("on") or name == "style" for _, a in Page(text).tags for name in a)


def test_the_grid_holds_every_sample_exactly(finished_run: RunWriter):
    page = Page(render_report(read_history(finished_run.folder)))
    shown = {a["alt"]: a["src"] or "" for a in page.all("img") if a.get("alt")}
    for epoch in range(7):
        for i, text in enumerate(PROMPTS, start=1):
            picture = decode(shown[f"{f'epoch {epoch}' if epoch else 'base'}: {text}"]).convert("RGB")
            assert picture.size == (128, 128)
            assert picture.getcolors() == [(128 * 128, colour(epoch, i))]


def test_a_missing_sample_is_said(finished_run: RunWriter):
    (finished_run.folder / "samples/epoch-002/prompt-1-seed-42.png").unlink()
    page = Page(render_report(read_history(finished_run.folder)))
    assert page.texts.count(": no picture") == 1
    assert len([a for a in page.all("button") if a.get("class") == "cell"]) == 20


def test_hostile_text_stays_text(new_run):
    run = new_run("hostile")
    run.run_json([{"prompt": HOSTILE}], trigger=HOSTILE, kind=HOSTILE, base=HOSTILE)
    run.sample(0, 1, HOSTILE)
    run.sample(1, 1, HOSTILE)
    picture = run.picture("data/1.png", (1, 2, 3))
    run.manifest([{"id": "1", "path": picture, "caption": HOSTILE, "held_out": True}])
    page = Page(render_report(read_history(run.folder)))
    assert len(page.all("script")) == 1
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert HOSTILE in page.texts, "the caption, unchanged, as text"
    assert [a["alt"] for a in page.all("img")[:2]] == [f"base: {HOSTILE}", f"epoch 1: {HOSTILE}"]


def test_an_edit_shows_the_source_and_where_there_is_none(edit_run: RunWriter):
    page = Page(render_report(read_history(edit_run.folder)))
    cells = [a["data-stage"] for a in page.all("button") if a.get("class") == "cell"]
    assert cells == ["source", "0", "1", "0", "1"]
    source = next(a["src"] or "" for a in page.all("img") if (a.get("alt") or "").startswith("source"))
    assert decode(source).convert("RGB").getcolors() == [(128 * 128, (250, 0, 0))]


def test_settings_say_where_they_came_from_with_defaults_folded(finished_run: RunWriter):
    chosen, defaults = read_settings(read_history(finished_run.folder))
    assert ("optim.learning_rate", "0.0001", "card starter") in chosen
    assert ("data.datasets.0.path", "photos/maya", "maya.yaml:6") in chosen
    assert ("data.datasets.0.repeats", "20", "card starter") in chosen
    assert ("optim.betas", "0.9, 0.99", "--set") in chosen
    assert ("sampling.prompts.1.prompt", PROMPTS[1], "maya.yaml:9") in chosen, "from the section it was given with"
    assert defaults == [
        ("data.resolution", "128", "default"),
        ("optim.weight_decay", "0.01", "default"),
        ("optim.fused", "false", "default"),
    ]
    before, folded = render_report(read_history(finished_run.folder)).split("<details>")
    assert "<code>optim.betas</code>" in before
    assert "<code>optim.fused</code>" in folded and "<code>optim.fused</code>" not in before


def test_curves_files_and_dataset(finished_run: RunWriter):
    text = render_report(read_history(finished_run.folder))
    page = Page(text)
    assert len([a for a in page.all("svg") if a.get("role") == "img"]) == 2
    assert "Probe loss by epoch, training: from 1 to 0.4, held out: from 1 to 0.7" in text
    assert '<code>epoch-006.safetensors</code></td><td class="number">2.50 MB' in text
    assert "8 examples, 1 held out" in text
    assert page.texts.count("held out") == 2  # the mark and the chart's legend


def test_large_pictures_are_reduced_and_thumbnails_limited(new_run):
    run = new_run("large")
    run.run_json([{"prompt": "p"}])
    run.sample(0, 1, "p", size=(1536, 1024))
    picture = run.picture("data/1.png", (9, 9, 9), size=(400, 200))
    run.manifest([{"id": str(i), "path": picture, "caption": f"c{i}"} for i in range(60)])
    page = Page(render_report(read_history(run.folder)))
    sizes = [decode(a["src"]).size for a in page.all("img") if a.get("src")]
    assert sizes == [(768, 512)] + [(96, 48)] * MOST_THUMBNAILS


def test_a_run_that_has_only_begun_can_be_reported(new_run):
    run = new_run("begun")
    run.run_json([{"prompt": "p"}])
    text = render_report(read_history(run.folder))
    assert "This run has no samples yet." in text and "No epoch is finished yet." in text


def test_the_script_is_python_and_the_command_is_quoted(new_run):
    run = new_run("quotes")
    run.run_json([{"prompt": HOSTILE, "width": 192, "negative_prompt": "it's"}], base="my base")
    run.sample(1, 1, HOSTILE)
    run.checkpoint(3)
    history = read_history(run.folder)
    script = diffusers_script(history)
    compile(script, "script", "exec")
    assert "weight_name='epoch-003.safetensors'" in script and "num_inference_steps=20" in script
    assert "width=192," in script and 'negative_prompt="it\'s",' in script
    assert "max_sequence_length=40," in script and "text_encoder_out_layers=[1, 2, 3]," in script
    assert "DiffusionPipeline.from_pretrained('/models/starter')" in script
    assert shlex.split(sample_command(history)) == [
        "likeness", "sample", "--base", "my base", "--lora", "checkpoints/epoch-003.safetensors",
        "--prompt", HOSTILE, "--seed", "42", "--steps", "20", "--guidance", "4.0",
    ]  # fmt: skip
