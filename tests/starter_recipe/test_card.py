"""How the curves are told in the model card."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from starter_recipe import card, training
from starter_recipe.card import carried, install, made, mixed, parts
from starter_recipe.training import keep_curve

OLD = [{"step": 50, "seconds": 60.0}, {"step": 100, "seconds": 120.0}, {"step": 150, "seconds": 60.0}]
GPU = [{"step": 4000, "seconds": 600.0, "batch": 1024, "machine": "GPU", "first": 0}]


def test_a_curve_is_split_where_it_was_interrupted_and_where_weights_were_taken_up() -> None:
    assert [len(p) for p in parts(OLD)] == [2, 1]
    weights_again = [{"step": 10, "seconds": 600.0}]
    assert [len(p) for p in parts([*OLD, *weights_again])] == [2, 1, 1]


def test_steps_and_minutes_are_told_for_each_machine() -> None:
    assert made(OLD, "pictures", 64) == "150 steps of 64 pictures, in 3 minutes on two CPU cores"
    assert made([*OLD, *GPU], "pictures", 64).endswith("; then 4,000 steps of 1024 pictures, in 10 minutes on GPU")


def test_a_mixture_is_told() -> None:
    assert mixed(OLD) == ""
    assert "; then mixed with the weights before the last part: 75% of the way" in mixed([{**OLD[-1], "share": 0.75}])


def test_what_a_distillation_began_with_is_told_after_it_went_on_too() -> None:
    assert carried(OLD) == ""
    assert carried([{**OLD[0], "carried": True}, {**OLD[1], "carried": False}]).startswith("began as the starter")


def test_shipped_weights_bring_their_curve_and_others_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(training, "LOG", tmp_path)
    (tmp_path / "vae.jsonl").write_text("{}\n")
    keep_curve(tmp_path / "other", "vae", str(tmp_path / "mine"))
    assert not (tmp_path / "other").exists()
    keep_curve(tmp_path / "on", "vae", str(tmp_path / "shipped" / "vae"))
    (tmp_path / "on" / "curve.jsonl").open("a").write("more")
    keep_curve(tmp_path / "on", "vae", str(tmp_path / "shipped" / "vae"))  # once
    assert (tmp_path / "on" / "curve.jsonl").read_text() == "{}\nmore"


def weights(folder: Path, encoder: float, decoder: float) -> Path:
    folder.mkdir(parents=True)
    tensors = {"encoder.x": torch.tensor([encoder]), "decoder.x": torch.tensor([decoder])}
    save_file(tensors, folder / "diffusion_pytorch_model.safetensors")
    return folder.parent


def decoder_in(pipeline: Path) -> float:
    return load_file(pipeline / "vae" / "diffusion_pytorch_model.safetensors")["decoder.x"].item()


def test_a_better_decoder_is_installed_and_other_latents_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped, distilled = tmp_path / "shipped", tmp_path / "distilled"
    monkeypatch.setattr(card, "SHIPPED", shipped)
    monkeypatch.setattr(card, "DISTILLED", distilled)
    weights(distilled / "vae", 1.0, 1.0)
    trained = weights(tmp_path / "transformer" / "starter" / "vae", 1.0, 1.0).parent
    install(trained, weights(tmp_path / "better" / "final", 1.0, 2.0))
    assert decoder_in(shipped) == 2
    assert decoder_in(distilled) == 2, "it draws in the same latents"
    with pytest.raises(SystemExit, match="not those that"):
        install(trained, weights(tmp_path / "other" / "final", 3.0, 3.0))
    assert decoder_in(shipped) == 2
    shutil.rmtree(distilled)
    weights(distilled / "vae", 3.0, 1.0)
    install(trained, tmp_path / "better")
    assert decoder_in(distilled) == 1, "of other latents"
