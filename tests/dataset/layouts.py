"""A tiny real sample of every layout that is read, by the name that the reference page gives it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.dataset.samples import write_picture


@dataclass(frozen=True)
class Shown:
    """What is expected of one example; paths below the sample's folder."""

    path: str
    caption: str
    references: tuple[str, ...] = ()
    repeats: int = 20
    mask: str | None = None
    captions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    name: str
    files: dict[str, str | None]  # path -> text; None for a picture
    expected: list[Shown]
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    kind: str = "character"
    path: str = "."  # below the sample's folder; `controls`, `masks` and `captions_file` too

    def write(self, root: Path) -> None:
        for name, text in self.files.items():
            if text is None:
                write_picture(root / name)
            else:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text, encoding="utf-8")


def rows(*values: object) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


PLAIN = {"a.png": None, "b.jpg": None}
BOTH = [Shown("a.png", "a cat"), Shown("b.jpg", "a dog")]
EDIT = {"a.png": None, "c/a.png": None}
EDITED = [Shown("a.png", "make it night", ("c/a.png",))]

LAYOUTS = [
    # --- captions
    Layout("text beside", {**PLAIN, "a.txt": "a cat\n", "b.txt": "a dog"}, BOTH),
    Layout("caption beside", {**PLAIN, "a.caption": "a cat", "b.caption": "a dog"}, BOTH),
    Layout("JSON beside", {**PLAIN, "a.json": '{"caption": "a cat"}', "b.json": '{"text": "a dog", "id": 3}'}, BOTH),
    Layout(
        "first line of a text beside",
        {"a.png": None, "a.txt": "a cat\nnotes"},
        [Shown("a.png", "a cat")],
        {"caption_lines": "first"},
    ),
    Layout(
        "lines of a text beside",
        {"a.png": None, "a.txt": "a cat\n\none cat\n"},
        [Shown("a.png", "a cat", captions=("a cat", "one cat"))],
        {"caption_lines": "draw"},
    ),
    Layout("file names", {"a_cat_01.png": None, "a dog (2).jpg": None}, [Shown("a_cat_01.png", "a cat"),
           Shown("a dog (2).jpg", "a dog")][::-1], {"captions_from": "names"}),
    Layout(
        "one shared text",
        {"in/a.png": None, "lines.txt": "a cat\none cat\n"},
        [Shown("in/a.png", "a cat", captions=("a cat", "one cat"))],
        {"captions_file": "lines.txt"},
        path="in",
    ),
    Layout("one caption for all", PLAIN, [Shown("a.png", "a pet"), Shown("b.jpg", "a pet")], {"caption": "a pet"}),
    # --- folders
    Layout(
        "repeats in folder names",
        {"40_mia woman/a.png": None, "40_mia woman/a.txt": "mia at sea", "40_mia woman/b.png": None,
         "5_dog/c.png": None, "photos/d.png": None},
        [Shown("5_dog/c.png", "dog", repeats=5), Shown("40_mia woman/a.png", "mia at sea", repeats=40),
         Shown("40_mia woman/b.png", "mia woman", repeats=40)],
    ),
    Layout("repeats in the folder's own name", {"7_cat/a.png": None}, [Shown("7_cat/a.png", "cat", repeats=7)],
           path="7_cat"),
    Layout("nested folders", {"a.png": None, "a.txt": "a cat", "x/y/b.png": None, "x/y/b.txt": "a dog"},
           [Shown("a.png", "a cat"), Shown("x/y/b.png", "a dog")], {"subfolders": True}),
    # --- lists
    Layout("Hugging Face metadata.jsonl", {**PLAIN, "metadata.jsonl": rows(
        {"file_name": "a.png", "text": "a cat"}, {"file_name": "b.jpg", "text": "a dog"})}, BOTH),
    Layout("Hugging Face metadata.csv", {**PLAIN, "metadata.csv": "file_name,text\na.png,a cat\nb.jpg,a dog\n"}, BOTH),
    Layout("diffusion-pipe captions.json",
           {**PLAIN, "captions.json": json.dumps({"a.png": ["a cat", "one cat"], "b.jpg": ["a dog"]})},
           [Shown("a.png", "a cat", captions=("a cat", "one cat")), BOTH[1]]),
    Layout("kohya metadata JSON", {**PLAIN, "meta_lat.json": json.dumps({
        "a": {"caption": "a cat", "tags": "grey, indoors", "train_resolution": [512, 512]},
        "/elsewhere/b.jpg": {"tags": "dog, red"}})},
        [Shown("a.png", "a cat, grey, indoors"), Shown("b.jpg", "dog, red")]),
    Layout("kohya metadata JSONL", {**PLAIN, "list.jsonl": rows(
        {"image_path": "a.png", "caption": "a cat", "tags": "grey", "image_size": [24, 20]})},
        [Shown("a.png", "a cat, grey")], path="list.jsonl"),
    Layout("ai-toolkit dataset JSON", {**PLAIN, "set.json": json.dumps({
        "/data/a.png": "a cat", "/data/b.jpg": {"caption": "a dog", "caption_short": "dog"}})}, BOTH, path="set.json"),
    Layout("DiffSynth metadata.csv", {**PLAIN, "metadata.csv": 'image,prompt\na.png,a cat\nb.jpg,"a dog"\n'}, BOTH),
    Layout("musubi-tuner image JSONL", {**PLAIN, "list.jsonl": rows(
        {"image_path": "a.png", "caption": "a cat"}, {"image_path": "b.jpg", "caption": "a dog"})}, BOTH,
        path="list.jsonl"),
    Layout("a list elsewhere", {"in/a.png": None, "list.json": '{"a": "a cat"}'}, [Shown("in/a.png", "a cat")],
           {"captions_file": "list.json"}, path="in"),
    # --- pairs
    Layout("two folders", {"before/a.png": None, "after/a.png": None, "after/a.txt": "make it night"},
           [Shown("after/a.png", "make it night", ("before/a.png",))], kind="edit"),
    Layout("folders of several sources",
           {"control_1/a.png": None, "control_2/a.jpg": None, "target/a.png": None, "target/a.txt": "wear it"},
           [Shown("target/a.png", "wear it", ("control_1/a.png", "control_2/a.jpg"))], kind="edit"),
    Layout("two names", {"a_before.png": None, "a_after.png": None, "a.txt": "make it night"},
           [Shown("a_after.png", "make it night", ("a_before.png",))], kind="edit"),
    Layout("fal start and end", {"a_start.png": None, "a_start2.png": None, "a_end.png": None, "a.txt": "join them"},
           [Shown("a_end.png", "join them", ("a_start.png", "a_start2.png"))], kind="edit"),
    Layout("ai-toolkit control paths",
           {"in/a.png": None, "in/a.txt": "wear it", "c1/a.jpg": None, "c2/a.png": None, "c3/a.webp": None},
           [Shown("in/a.png", "wear it", ("c1/a.jpg", "c2/a.png", "c3/a.webp"))],
           {"controls": ["c1", "c2", "c3"]}, "edit", "in"),
    Layout("kohya conditioning folder, SimpleTuner and diffusion-pipe control folder",
           {**EDIT, "a.txt": "make it night"}, EDITED, {"controls": ["c"]}, "edit"),
    Layout("OneTrainer -condlabel", {"a.png": None, "a-condlabel.png": None, "a.txt": "make it night"},
           [Shown("a.png", "make it night", ("a-condlabel.png",))], kind="edit"),
    Layout("musubi-tuner control folder with numbers",
           {"in/a.png": None, "in/a.txt": "both", "c/a_0.png": None, "c/a_1.png": None, "c/a_10.png": None},
           [Shown("in/a.png", "both", ("c/a_0.png", "c/a_1.png", "c/a_10.png"))], {"controls": ["c"]}, "edit", "in"),
    Layout("list of pairs",
           {**EDIT, "pairs.jsonl": rows({"before": "c/a.png", "after": "a.png", "instruction": "make it night"})},
           EDITED, kind="edit"),
    Layout("musubi-tuner control JSONL", {**EDIT, "d/b.png": None, "list.jsonl": rows(
        {"image_path": "a.png", "control_path_1": "d/b.png", "control_path_0": "c/a.png", "caption": "both"})},
        [Shown("a.png", "both", ("c/a.png", "d/b.png"))], kind="edit", path="list.jsonl"),
    Layout("DiffSynth edit_image column", {**EDIT, "d/b.png": None, "metadata.csv":
           'image,prompt,edit_image\na.png,both,"[""c/a.png"", ""d/b.png""]"\n'},
           [Shown("a.png", "both", ("c/a.png", "d/b.png"))], kind="edit"),
    Layout("DiffSynth metadata.json", {**EDIT, "metadata.json": json.dumps(
        [{"image": "a.png", "edit_image": ["c/a.png"], "prompt": "make it night"}])}, EDITED, kind="edit"),
    # --- masks
    Layout("OneTrainer -masklabel", {"a.png": None, "a.txt": "a cat", "a-masklabel.png": None},
           [Shown("a.png", "a cat", mask="a-masklabel.png")]),
    Layout("masks by suffix", {"a.png": None, "a.txt": "a cat", "a_mask.png": None},
           [Shown("a.png", "a cat", mask="a_mask.png")], {"masks": "_mask"}),
    Layout("folder of masks", {"in/a.png": None, "in/a.txt": "a cat", "m/a.webp": None},
           [Shown("in/a.png", "a cat", mask="m/a.webp")], {"masks": "m"}, path="in"),
    Layout("mask column", {"a.png": None, "m/x.png": None, "list.jsonl": rows(
        {"image": "a.png", "text": "a cat", "mask": "m/x.png"})}, [Shown("a.png", "a cat", mask="m/x.png")],
        path="list.jsonl"),
]  # fmt: skip
