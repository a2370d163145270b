"""The variant that draws in four steps, on a toy."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from likeness.catalog import card_for_folder
from starter_recipe import distill
from starter_recipe.distill import STEPS, Teacher, distillation_loss, sigmas, teacher_path
from starter_recipe.flow import CHANNELS, Told, tokens_of, walk
from starter_recipe.pipeline import TEXTS, open_pipeline, sampling
from starter_recipe.text import embed, tokenize
from starter_recipe.training import Replicas
from starter_recipe.weights import Weights

CPU = torch.device("cpu")
WIDE = (160, 96)
TEXT = "a girl with long pink hair"


def test_the_students_times_are_every_fourth_of_the_teachers() -> None:
    assert sigmas(4) == pytest.approx(sigmas(16)[::4])
    assert sigmas(16)[0] == 1 and sigmas(16)[-1] == 0


@torch.no_grad()
def test_teacher_and_student_walk_as_the_pipeline_does(toy: Path) -> None:
    pipe = open_pipeline(toy, CPU)
    noise = torch.randn(1, tokens_of(WIDE), CHANNELS, generator=torch.Generator().manual_seed(4))
    folded = noise.permute(0, 2, 1).unflatten(2, (WIDE[1] // 16, WIDE[0] // 16))
    wanted = {
        guidance: pipe(
            prompt=TEXT, width=WIDE[0], height=WIDE[1], latents=folded, num_inference_steps=steps,
            guidance_scale=guidance, output_type="latent", **TEXTS,
        ).images
        for guidance, steps in ((2.5, 16), (1.0, STEPS))
    }  # fmt: skip
    text, empty = (embed(pipe.text_encoder, *tokenize(pipe.tokenizer, [t])) for t in (TEXT, ""))
    points = teacher_path(pipe.transformer, Told(text, WIDE, None), empty, noise, 2.5)
    assert points.shape == (1, STEPS + 1, *noise.shape[1:]) and torch.equal(points[:, 0], noise)
    student = walk(pipe.transformer, Told(text, WIDE, None), noise, sigmas(STEPS))
    for ours, theirs in ((points[:, -1], wanted[2.5]), (student, wanted[1.0])):
        mean = pipe.vae.bn.running_mean.view(1, -1, 1, 1)
        spread = (pipe.vae.bn.running_var + pipe.vae.config.batch_norm_eps).sqrt().view(1, -1, 1, 1)
        packed = (pipe._patchify_latents(theirs) - mean) / spread
        assert torch.allclose(ours, packed.flatten(2).permute(0, 2, 1), atol=1e-3)


def test_the_student_learns_each_interval_from_the_teachers_points_and_from_its_own(toy: Path) -> None:
    teacher = Teacher(toy, CPU)
    kept = teacher.paths([TEXT, "an orange cat"], None, WIDE, seed=1)
    points = torch.from_numpy(kept["points"]).float()
    with torch.no_grad():
        text = embed(teacher.encoder, torch.from_numpy(kept["ids"]), torch.from_numpy(kept["mask"]))
    told, torn = Told(text, WIDE, None), torch.linspace(0.5, 2, STEPS + 1)[None, :, None, None]
    points = points * torn  # a path that the untrained copy does not take by itself
    torch.manual_seed(0)
    weights = Weights(Teacher(toy, CPU).transformer, teacher.encoder, 0.02, Replicas(0, 1, 0), frozen_text=True)
    before = [p.clone() for p in teacher.encoder.parameters()]

    def losses() -> list[float]:
        with torch.no_grad():
            return [
                distillation_loss(weights.transformer, told, points, k, own).item()
                for k in range(STEPS)
                for own in (False, True)
            ]

    first = losses()
    for step in range(60):
        distillation_loss(weights.transformer, told, points, step % STEPS, step % 8 >= STEPS).backward()
        weights.step(1.0, 0.5)
    assert all(now < 0.8 * then for now, then in zip(losses(), first, strict=True)), (first, losses())
    assert all(torch.equal(a, b) for a, b in zip(before, teacher.encoder.parameters(), strict=True))


def test_what_distillation_changed_is_carried_to_a_teacher_that_went_on(toy: Path, tmp_path: Path) -> None:
    base, student, teacher = (Teacher(toy, CPU).transformer for _ in range(3))
    with torch.no_grad():
        student.proj_out.weight += 0.5
        teacher.proj_out.weight += 2
    for name, model in (("base", base), ("distilled", student)):
        model.save_pretrained(tmp_path / name / "transformer")
    wanted = teacher.proj_out.weight + 0.5
    others = [p.clone() for name, p in teacher.named_parameters() if name != "proj_out.weight"]
    distill.carry(teacher, tmp_path / "base", tmp_path / "distilled")
    assert torch.allclose(teacher.proj_out.weight, wanted)
    after = [p for name, p in teacher.named_parameters() if name != "proj_out.weight"]
    assert all(torch.equal(a, b) for a, b in zip(after, others, strict=True))


def test_a_distilled_pipeline_of_another_base_is_not_carried(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(toy / "text_encoder", tmp_path / "text_encoder")
    (tmp_path / "text_encoder" / "config.json").write_text("{}")
    monkeypatch.setattr(distill, "SHIPPED", toy)
    monkeypatch.setattr(distill, "DISTILLED", tmp_path)
    with pytest.raises(SystemExit):
        distill.main(["--from", str(toy), "--out", str(tmp_path / "out"), "--carry", "--anew"])
    assert "--carry" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.long
def test_distillation_runs_goes_on_and_leaves_a_distilled_pipeline(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distill, "draw", lambda *_: None)
    out = tmp_path / "distilled"
    run = ["--from", str(toy), "--out", str(out), "--pictures", "48", "--pairs", "24", "--chunk", "24"]
    run += ["--batch", "2", "--report", "2", "--replicas", "1"]
    distill.main([*run, "--steps", "3"])
    distill.main([*run, "--steps", "4"])
    rows = [json.loads(line) for line in (out / "curve.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 3, 4, 4]
    assert {"psnr_pictures", "psnr_pictures_teacher", "psnr_pairs", "loss_0", "loss_3"} <= rows[-1].keys()
    card = card_for_folder(out / "starter")
    assert card.distilled and (card.steps, card.guidance) == (4, 1.0)
    assert not card_for_folder(toy).distilled
    pipe = open_pipeline(out / "starter", CPU)
    (image,) = pipe(prompt=TEXT, width=WIDE[0], height=WIDE[1], **sampling(out / "starter")).images
    assert image.size == WIDE
