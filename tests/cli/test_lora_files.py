"""`likeness merge`, `extract`, `resize`, `prune` and `inspect`."""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from likeness.catalog import resolve_base
from likeness.families import names_of
from likeness.lora.change import Change
from likeness.lora.layouts import Lora, read_any, write_layout
from tests.cli.conftest import Answer
from tests.lora.loras import Numbers

Likeness = Callable[..., Answer]
MakeLora = Callable[..., Path]


@pytest.fixture
def make(tiny_base: Path, tmp_path: Path) -> MakeLora:
    """A LoRA for some layers of the tiny base, with metadata as a run writes it."""
    names = names_of(resolve_base(str(tiny_base)))[0]

    def write(name: str, seed: int, rank: int = 4, layout: str = "diffusers", base: str = "starter") -> Path:
        numbers, changes = Numbers(seed), dict[str, Change]()
        for key, w in load_file(tiny_base / "transformer/diffusion_pytorch_model.safetensors").items():
            layer = key.removesuffix(".weight")
            if w.dim() == 2 and "transformer_blocks" in key and names.index.find(layer):
                outputs, inputs = w.shape
                factors = {"lora_A": numbers(rank, inputs), "lora_B": numbers(outputs, rank)}
                changes[f"transformer.{layer}"] = Change("LoRA", factors, 0.5)
        own = {
            "name": name,
            "base": base,
            "trigger": f"{name}_char",
            "rank": rank,
            "epoch": 3,
            "step": 9,
            "type": "lora",
        }
        metadata = {"likeness": json.dumps(own), "ss_steps": "9", "ss_base_model_version": "flux2"}
        path = tmp_path / f"{name}.safetensors"
        write_layout(path, Lora(names, layout, "", changes, metadata), layout)
        return path

    return write


def deltas(path: Path, base: Path) -> dict[str, torch.Tensor]:
    lora = read_any(path, names_of(resolve_base(str(base))))
    return {name: change.delta() for name, change in lora.changes.items()}


def metadata_of(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as f:
        return f.metadata()


def test_merging_two_files(likeness: Likeness, make: MakeLora, tiny_base: Path, tmp_path: Path) -> None:
    one, two = make("mika", 1), make("wood", 2, rank=2, layout="kohya")
    answer = likeness("merge", f"{one}:0.9", f"{two}:-0.5", "-o", "both.safetensors")
    assert answer.code == 0, answer.words
    assert "mika.safetensors at 0.9 wood.safetensors at -0.5" in answer.words and "exact: no part" in answer.words
    first, second, both = (deltas(p, tiny_base) for p in (one, two, tmp_path / "both.safetensors"))
    for name, change in both.items():
        expected = 0.9 * first[name] - 0.5 * second[name]
        assert float((change - expected).norm() / expected.norm()) < 1e-6
    metadata = metadata_of(tmp_path / "both.safetensors")
    made, own = json.loads(metadata["likeness_made_of"]), json.loads(metadata["likeness"])
    assert made["method"] == "concat" and made["error"] == 0
    digests = [hashlib.sha256(p.read_bytes()).hexdigest() for p in (one, two)]
    assert [(s["name"], s["file"], s["strength"], s["sha256"]) for s in made["sources"]] == [
        ("mika", "mika.safetensors", 0.9, digests[0]), ("wood", "wood.safetensors", -0.5, digests[1]),
    ]  # fmt: skip
    assert metadata["modelspec.trigger_phrase"] == own["trigger"] == "mika_char, wood_char"
    assert metadata["modelspec.merged_from"] == "mika, wood" and own["base"] == "starter"
    assert metadata["ss_network_dim"] == "6" and metadata["ss_base_model_version"] == "flux2"
    # A merged file can be merged again.
    again = likeness("merge", "both.safetensors", one, "-o", "again.safetensors", "--to", "kohya", "--json")
    assert again.code == 0 and again.json["layout"] == "kohya" and again.json["sources"][0]["trigger"] == own["trigger"]


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("svd", ("--rank", 3)),
        ("svd", ("--keep", 0.7)),
        ("linear", ()),
        ("ties", ("--density", 0.5, "--rank", 3)),
        ("dare", ("--drop", 0.25, "--seed", 7, "--precision", "fp32")),
    ],
)
def test_other_methods(
    likeness: Likeness, make: MakeLora, tiny_base: Path, tmp_path: Path, method: str, options: tuple[object, ...]
) -> None:
    one, two = make("mika", 1), make("wood", 2, rank=2)
    words = ("merge", one, two, "--method", method, *options, "-o")
    said = likeness(*words, "out.safetensors", "--json").json
    assert said["method"] == method and said["layers"] == len(deltas(one, tiny_base))
    made = json.loads(metadata_of(tmp_path / "out.safetensors")["likeness_made_of"])
    expected = {"--seed": "seed", "--density": "density", "--drop": "drop", "--rank": "rank", "--keep": "keep"}
    given = dict(zip(options[::2], options[1::2], strict=True))
    assert {made[key] for option, key in expected.items() if option in given} == {
        v for o, v in given.items() if o in expected
    }
    assert made["error"] == said["error"]
    if "--rank" in given:
        assert said["ranks"] == [3] and said["error"] > 0
    if method == "svd":
        first, second, out = (deltas(p, tiny_base) for p in (one, two, tmp_path / "out.safetensors"))
        lost = math.hypot(*(float((out[n] - first[n] - second[n]).norm()) for n in out))
        assert said["error"] == pytest.approx(
            lost / math.hypot(*(float((first[n] + second[n]).norm()) for n in out)), 1e-3
        )
    again = likeness(*words, "again.safetensors", "--json")
    out, same = (load_file(tmp_path / f"{n}.safetensors") for n in ("out", "again"))
    assert again.code == 0 and all(torch.equal(out[k], same[k]) for k in out)


def test_into_the_base_and_out_of_it_again(likeness: Likeness, make: MakeLora, tiny_base: Path, tmp_path: Path) -> None:
    one, two = make("mika", 1), make("wood", 2, rank=2)
    words = ("merge", f"{one}:0.9", two, "--into-base", tiny_base, "-o", "tuned")
    answer = likeness(*words)
    assert answer.code == 0 and "rounding to the base's number format: 0.00% of the change" in answer.words
    made = json.loads((tmp_path / "tuned/merged_from.json").read_text())
    assert made["base"] == tiny_base.name and [s["strength"] for s in made["sources"]] == [0.9, 1.0]
    there = {p.relative_to(tiny_base) for p in tiny_base.rglob("*") if p.is_file()} | {Path("merged_from.json")}
    assert {p.relative_to(tmp_path / "tuned") for p in (tmp_path / "tuned").rglob("*") if p.is_file()} == there
    refused = likeness(*words)
    assert refused.code == 2 and "--overwrite" in refused.error
    assert likeness(*words, "--overwrite").code == 0
    said = likeness(
        "extract", tiny_base, "tuned", "--rank", 6, "--precision", "fp32", "-o", "out.safetensors", "--json"
    ).json
    assert said["error"] < 1e-5 and said["left_out"] == [] and said["unchanged_layers"] > 0
    first, second, out = (deltas(p, tiny_base) for p in (one, two, tmp_path / "out.safetensors"))
    for name, change in out.items():
        expected = 0.9 * first[name] + second[name]
        assert float((change - expected).norm() / expected.norm()) < 1e-4, name
    assert "error: " in likeness("extract", tiny_base, "tuned", "--rank", 2, "-o", "less.safetensors").words


def test_resizing(likeness: Likeness, make: MakeLora, tiny_base: Path, tmp_path: Path) -> None:
    path = make("mika", 1, rank=8)
    said = likeness("resize", path, "--rank", 2, "--json").json
    smaller = tmp_path / "mika-rank2.safetensors"
    assert said["path"] == str(smaller) and said["before"]["ranks"] == [8] and said["ranks"] == [2]
    before, after = deltas(path, tiny_base), deltas(smaller, tiny_base)
    optimum = math.hypot(*(float(torch.linalg.svdvals(w.double())[2:].norm()) for w in before.values()))
    assert said["error"] == pytest.approx(optimum / math.hypot(*(float(w.norm()) for w in before.values())), rel=1e-4)
    far = math.hypot(*(float((after[n] - w).norm()) for n, w in before.items()))
    assert far == pytest.approx(optimum, rel=1e-3)
    metadata = metadata_of(smaller)
    assert json.loads(metadata["likeness"])["rank"] == 2 and json.loads(metadata["likeness"])["trigger"] == "mika_char"
    assert json.loads(metadata["likeness_made_of"])["by"] == "resize" and metadata["ss_steps"] == "9"
    answer = likeness("resize", path, "--keep", 0.5, "-o", "half.safetensors")
    assert answer.code == 0 and "error: " in answer.words and "rank 8" in answer.words


def test_pruning(likeness: Likeness, make: MakeLora, tiny_base: Path, tmp_path: Path) -> None:
    path = make("mika", 1, layout="kohya")
    said = likeness("prune", path, "--match", r"transformer_blocks\..*", "--smallest", 1, "--json").json
    kept = deltas(tmp_path / "mika-pruned.safetensors", tiny_base)
    before = deltas(path, tiny_base)
    assert said["layout"] == "kohya" and len(said["dropped"]) + len(kept) == len(before)
    assert all(name.startswith("transformer.single_") for name in kept)
    assert all(torch.equal(change, before[name]) for name, change in kept.items())
    assert len([n for n in said["dropped"] if ".single_" in n]) == 1
    energy = sum(float(w.square().sum()) for w in before.values())
    assert said["kept"] == pytest.approx(sum(float(w.square().sum()) for w in kept.values()) / energy, rel=1e-4)


def test_inspecting(likeness: Likeness, make: MakeLora, tmp_path: Path) -> None:
    one, two = make("mika", 1), make("wood", 2, rank=2)
    answer = likeness("inspect", one)
    for words in ("base starter", "trigger mika_char", "family flux2", "rank 4, alpha 4", "steps 9", "by block", "█"):
        assert words in answer.words, answer.words
    assert answer.code == 0 and "problem" not in answer.words
    likeness("merge", one, two, "-o", "both.safetensors")
    assert (
        "made of mika.safetensors at 1 and wood.safetensors at 1 (concat)"
        in likeness("inspect", "both.safetensors").words
    )
    tensors = load_file(one)
    next(iter(tensors.values()))[0, 0] = math.nan
    save_file(tensors, tmp_path / "broken.safetensors")
    answer = likeness("inspect", "broken.safetensors", "--json")
    assert answer.code == 1 and "not finite" in answer.json["problems"][0]


def test_loras_of_different_bases(likeness: Likeness, make: MakeLora) -> None:
    one, other = make("mika", 1), make("wood", 2, base="black-forest-labs/FLUX.2-klein-base-9B")
    refused = likeness("merge", one, other, "-o", "both.safetensors")
    assert refused.code == 2 and "was trained on 'black-forest-labs/FLUX.2-klein-base-9B'" in refused.words
    assert likeness("merge", one, other, "-o", "both.safetensors", "--base", "starter").code == 0
    tuned, distilled = make("a", 1, base="flux2-klein-base-4b"), make("b", 2, base="black-forest-labs/FLUX.2-klein-4B")
    assert likeness("merge", tuned, distilled, "-o", "c.safetensors").code == 0, "LoRAs of one run on the other"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("merge", "-o", "x.safetensors"), "nothing to merge"),
        (("merge", "nowhere.safetensors", "-o", "x.safetensors"), "nowhere.safetensors is not there"),
        (("merge", "mika.safetensors:0", "-o", "x.safetensors"), "adds nothing"),
        (("merge", "mika.safetensors:nan", "-o", "x.safetensors"), "adds nothing"),
        (("merge", "mika.safetensors", "-o", "x.ckpt"), "does not end in .safetensors"),
        (("merge", "mika.safetensors", "-o", "there.safetensors"), "add --overwrite"),
        (("merge", "mika.safetensors", "-o", "mika.safetensors", "--overwrite"), "one of the files to be read"),
        (("merge", "mika.safetensors", "-o", "x.safetensors", "--rank", "4"), "add --method svd"),
        (("merge", "mika.safetensors", "-o", "x.safetensors", "--rank", "0", "--method", "svd"), "is no rank"),
        (("merge", "mika.safetensors", "-o", "x.safetensors", "--keep", "1.5", "--method", "svd"), "is no share"),
        (("merge", "mika.safetensors", "-o", "x.safetensors", "--density", "0.5"), "is for --method ties"),
        (("merge", "mika.safetensors", "-o", "x.safetensors", "--method", "dare", "--drop", "1"), "below 1"),
        (("merge", "mika.safetensors", "-o", "x", "--into-base", "starter", "--rank", "4"), "leave it out"),
        (("merge", "mika.safetensors", "-o", "mine", "--into-base", "starter"), "no merge has written it"),
        (("merge", "mika.safetensors", "-o", "x", "--into-base", "nothing"), "no base model called 'nothing'"),
        (("merge", "mika.safetensors", "-o", "x", "--into-base", "starter"), "outputs and"),
        (("merge", "mika.safetensors", "broken.safetensors", "-o", "x.safetensors"), "not finite"),
        (("merge", "mika.safetensors", "other.safetensors", "-o", "x.safetensors"), "not understood"),
        (("merge", "mika.safetensors", "-o", "x.safetensors", "--base", "z-image"), "not of family z_image"),
        (("resize", "mika.safetensors"), "to what size"),
        (("resize", "mika.safetensors", "--rank", "2", "--to", "diffusers", "-o", "there.safetensors"), "--overwrite"),
        (("prune", "mika.safetensors"), "which layers"),
        (("prune", "mika.safetensors", "--match", "nothing"), "matches no layer"),
        (("extract", "starter", "z-image", "-o", "x.safetensors", "--rank", "2"), "is of family z_image"),
        (("extract", "starter", "starter", "-o", "x.safetensors"), "how large"),
        (("inspect", "nowhere.safetensors"), "no such LoRA file"),
    ],
)
def test_refusals(likeness: Likeness, make: MakeLora, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    tensors = load_file(make("mika", 1))
    (tmp_path / "there.safetensors").write_text("mine")
    (tmp_path / "mine").mkdir()
    next(iter(tensors.values()))[0, 0] = math.nan
    save_file(tensors, tmp_path / "broken.safetensors")
    save_file({"model.layers.0.weight": torch.ones(2, 2)}, tmp_path / "other.safetensors")
    before = {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob("*")}
    answer = likeness(*arguments)
    assert answer.code == 2 and words in answer.words, answer.words
    assert (
        "Traceback" not in answer.error and {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob("*")} == before
    )
