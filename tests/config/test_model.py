"""Where a base model comes from, as a settings file says it."""

import json
from pathlib import Path

import pytest

from likeness.config.load import Loaded, config_from_dict, config_to_dict, read_config
from likeness.errors import InputError
from tests.test_catalog_files import KLEIN, weights

SETTINGS = "name: maya\ndata: {datasets: [photos]}\n"


def read(folder: Path, text: str, *overrides: str) -> Loaded:
    (folder / "maya.yaml").write_text(SETTINGS + text)
    return read_config(folder / "maya.yaml", overrides)


def refusal(folder: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(InputError) as error:
        read(folder, text, *overrides)
    return list(error.value.problems)


def test_paths_start_at_the_settings_file_and_are_kept_whole(tmp_path: Path):
    file = weights(tmp_path / "models" / "klein.safetensors", {KLEIN: (9216, 3072)})
    loaded = read(tmp_path, "base: flux2-klein-base-4b\nmodel: {transformer: models/klein.safetensors}\n")
    assert loaded.config.model.transformer == str(file) and loaded.card.source.parts == (("transformer", file),)
    assert config_from_dict(json.loads(json.dumps(config_to_dict(loaded.config)))) == loaded.config
    alone = read(tmp_path, "base: models/klein.safetensors\n")
    assert alone.config.base == str(file)
    assert alone.notes == (
        "base: klein.safetensors is taken for FLUX.2 klein base 4B; what it lacks comes from "
        "black-forest-labs/FLUX.2-klein-base-4B",
    )


def test_a_mismatch_is_told_at_its_line(tmp_path: Path):
    weights(tmp_path / "klein.safetensors", {KLEIN: (9216, 3072)})
    (told,) = refusal(tmp_path, "base: z-image\nmodel:\n  transformer: klein.safetensors\n")
    assert told.startswith("maya.yaml:5: model.transformer: ")
    assert "FLUX.2 klein base 4B" in told and "base is Z-Image" in told
    (told,) = refusal(tmp_path, "base: z-image\n", "model.transformer=klein.safetensors")
    assert told.startswith("--set model.transformer: ")
    told, more = refusal(tmp_path, "base: z-image\nmodel: {vae: none, revision: -x}\n"), "a branch, a tag or a commit"
    assert len(told) == 1 and more in told[0]


def test_an_earlier_run_as_base(tmp_path: Path):
    file = weights(tmp_path / "klein.safetensors", {KLEIN: (9216, 3072)})
    first = read(tmp_path, "base: flux2-klein-4b\nmodel: {transformer: klein.safetensors, revision: v1}\n")
    run = tmp_path / "runs" / "first"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"config": config_to_dict(first.config)}))
    second = read(tmp_path, "base: runs/first\nmodel: {revision: v2}\n")
    assert (second.config.base, second.config.model.transformer) == ("flux2-klein-4b", str(file))
    assert (second.config.model.revision, second.card.source.revision) == ("v2", "v2")
    assert second.sources["model.transformer"] == "run first"
    assert "as in run first" in second.notes[0]
