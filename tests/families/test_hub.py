import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub.constants as hub_constants
import pytest

from likeness.catalog import Card, Choice, Source, resolve_base
from likeness.catalog.source import hub_folder
from likeness.config.hardware import HardwareConfig
from likeness.errors import InputError
from likeness.events import Stage, read_events
from likeness.families import hub as families_hub
from likeness.families import open_family, transfer
from likeness.families.hub import fetch, fetch_now
from likeness.families.needs import File, needed_files
from likeness.families.placement import choose_placement
from likeness.service import runs
from likeness.worker import training
from tests.families.hub_server import COMMIT, Hub, running_hub
from tests.tiny_run import start_run, write_config

NAME = "somebody/tiny-flux2-klein"
BIG = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def server() -> Iterator[Hub]:
    with running_hub() as found:
        yield found


@pytest.fixture(scope="module")
def repository(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base, without facts of its own beside those of its family: as the hub's models are."""
    folder = tmp_path_factory.mktemp("hub") / "tiny"
    return Path(shutil.copytree(tiny_base, folder, ignore=shutil.ignore_patterns("likeness.json")))


@pytest.fixture
def hub(server: Hub, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A hub with the tiny base in it, and an empty cache."""
    server.repositories = {NAME: repository}
    server.token = server.cut_after = server.damaged = server.stalled = None
    server.served.clear()
    server.seen_tokens.clear()
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(hub_constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(hub_constants, "ENDPOINT", server.url)
    monkeypatch.setattr(transfer, "SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(transfer, "SMALL_BYTES", 1000)
    for name, value in {"HF_HUB_CACHE": str(tmp_path / "cache"), "HF_TOKEN": "hf_secret"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return server


def card(name: str = NAME, **choice: Any) -> Card:
    return resolve_base(name, choice=Choice(**choice))


def refusal(card: Card) -> str:
    with pytest.raises(InputError) as error:
        fetch_now(card)
    return str(error.value)


def test_a_repository_is_fetched_once_and_loaded(hub: Hub, repository: Path):
    told: list[Stage] = []
    found = fetch_now(card(), told.append)
    assert found.source.commits == ((NAME, COMMIT),)
    assert found.source.folders == (hub_folder(NAME) / "snapshots" / COMMIT,)
    for file in (p for p in repository.rglob("*") if p.is_file()):
        assert (found.source.folders[0] / file.relative_to(repository)).read_bytes() == file.read_bytes()
    assert {(e.name, e.done) for e in told} >= {("downloading", told[-1].total)}
    assert hub.got(BIG) == (repository / BIG).stat().st_size
    hub.served.clear()
    family = open_family(card(), choose_placement(HardwareConfig(device="cpu", precision="fp32")))
    assert family.card.source.folders == found.source.folders and not hub.served
    assert hub.seen_tokens == {"Bearer hf_secret"}


def test_a_download_goes_on_where_it_was_cut_off(hub: Hub, tmp_path: Path):
    size = _fatten(hub, tmp_path)
    work = fetch(card())
    hub.cut_after = 1_500_000
    fetched = [stage.done for stage in work]
    assert hub.served.count((BIG, 1_500_000)) == 1 and hub.got(BIG) == size  # nothing twice
    assert fetched[-1] == max(fetched)


def test_what_an_earlier_process_left_is_gone_on_with(hub: Hub, tmp_path: Path):
    size = _fatten(hub, tmp_path)
    part = (
        hub_folder(NAME) / "blobs" / f"{hashlib.sha256((hub.repositories[NAME] / BIG).read_bytes()).hexdigest()}.part"
    )
    hub.stalled = threading.Event()
    work = fetch(card())
    while not (part.exists() and part.stat().st_size > 1 << 20):
        next(work)
    work.close()
    hub.stalled.set()
    for thread in threading.enumerate():
        if thread.name.startswith("fetch"):
            thread.join()
    left = part.stat().st_size
    hub.served.clear()
    assert (fetch_now(card()).source.folders[0] / BIG).stat().st_size == size
    assert hub.got(BIG) == size - left


def test_a_file_that_arrives_damaged_is_told_and_not_kept(hub: Hub):
    hub.damaged = BIG
    assert f"{BIG} arrived damaged" in refusal(card())
    hub.damaged = None
    assert fetch_now(card()).source.folders


def test_without_a_network_the_cache_serves(hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert "is not in the cache" in refusal(card(offline=True))
    folders = fetch_now(card()).source.folders
    hub.seen_tokens.clear()
    assert fetch_now(card(offline=True)).source.folders == folders
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch_now(card()).source.folders == folders and not hub.seen_tokens
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(hub_constants, "ENDPOINT", "http://127.0.0.1:9")
    assert fetch_now(card()).source.folders == folders
    (folders[0] / BIG).unlink()
    assert "lacks transformer in the cache" in refusal(card()) and "cannot be reached" in refusal(card())


def test_refusals_say_what_to_do(hub: Hub):
    assert "is not on the hub, or is private" in refusal(card("a/flux2-klein-none"))
    assert "has no revision 'v9'" in refusal(card(f"{NAME}@v9"))
    hub.token = "another"
    told = refusal(card())
    assert "asks for consent" in told and "HF_TOKEN" in told and "hf_secret" not in told


def test_a_run_keeps_its_commit_and_a_revision_is_followed(hub: Hub):
    pinned = replace(card(), source=Source(commits=((NAME, COMMIT),)))
    assert fetch_now(pinned).source.commits == ((NAME, COMMIT),)
    fetch_now(card(f"{NAME}@v1"))
    assert (hub_folder(NAME) / "refs" / "v1").read_text() == COMMIT
    assert fetch_now(card(revision="v1", offline=True)).source.commits == ((NAME, COMMIT),)


def test_the_disk_is_looked_at_first(hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(families_hub, "SPARE_BYTES", 1 << 60)
    told = refusal(card())
    assert "GB on the disk" in told and str(tmp_path / "cache") in told and "HF_HOME" in told
    assert not hub.got(BIG)


def test_a_name_that_promised_another_model_is_told_before_its_weights_are_fetched(hub: Hub, tiny_base: Path):
    hub.repositories["somebody/z-image-toon"] = tiny_base
    told = refusal(card("somebody/z-image-toon"))
    assert "was taken for a ZImagePipeline" in told and "Flux2KleinPipeline" in told and not hub.got(BIG)
    assert card("somebody/z-image-toon").family == "flux2"  # known now


def test_parts_of_ones_own_are_not_fetched(hub: Hub, tiny_base: Path):
    found = card(transformer=str(tiny_base / BIG))
    folder = fetch_now(found).source.folders[0]
    assert (folder / "transformer" / "config.json").is_file() and not (folder / BIG).exists()


def test_what_a_repository_lacks_comes_from_another(hub: Hub, tiny_base: Path, tmp_path: Path):
    alone = tmp_path / "alone"
    shutil.copytree(tiny_base / "transformer", alone / "transformer")
    hub.repositories["somebody/flux2-tune"] = alone
    found = fetch_now(card("somebody/flux2-tune", parts_from=NAME))
    own, home = found.source.folders
    assert (own / BIG).is_file() and not (home / BIG).exists() and (home / "vae" / "config.json").is_file()
    assert [name for name, _ in found.source.commits] == ["somebody/flux2-tune", NAME]


def test_a_repository_of_single_files_is_told(hub: Hub, tmp_path: Path):
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "flux2.safetensors").touch()
    hub.repositories["somebody/flux2-flat"] = tmp_path / "flat"
    assert "no model in the diffusers layout" in refusal(card("somebody/flux2-flat"))


def test_only_what_is_needed_is_chosen():
    needed = {
        "model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors", "tokenizer/vocab.json",
        "vae/diffusion_pytorch_model.fp16.safetensors", "text_encoder/model.safetensors.index.json",
        "text_encoder/model-00001-of-00002.safetensors", "text_encoder/model-00002-of-00002.safetensors",
    }  # fmt: skip
    spare = {
        "v1-5-pruned.safetensors", "README.md", "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.non_ema.safetensors", "unet/model.onnx",
        "text_encoder/model.fp16-00001-of-00002.safetensors", "text_encoder/model.safetensors.index.fp16.json",
        "text_encoder/model.safetensors", "safety_checker/model.safetensors", "vae/nested/config.json",
    }  # fmt: skip
    files = [File(name, 1) for name in needed | spare]
    assert {f.path for f in needed_files(files, set(), allow_pickle=False)} == needed
    without = {f.path for f in needed_files(files, {"transformer"}, allow_pickle=False)}
    assert needed - without == {"unet/diffusion_pytorch_model.safetensors"}
    pickles = [File("vae/config.json", 1), File("vae/diffusion_pytorch_model.bin", 1)]
    assert needed_files(pickles, set(), allow_pickle=True) == pickles
    with pytest.raises(InputError, match=r"no \.safetensors of it"):
        needed_files(pickles, set(), allow_pickle=False)


def test_a_run_notes_what_it_was_trained_on(hub: Hub, tiny_base: Path, pictures: Path, tmp_path: Path):
    config = write_config(tmp_path / "tiny.yaml", Path(NAME), pictures)
    config.write_text(config.read_text().replace(str(Path(NAME)), NAME))
    hub.repositories[NAME] = tiny_base
    assert "with defaults of its own" in refusal(card())  # which the settings should have been read with
    settings = ["train.epochs=1", "train.probes=1", "sampling.prompts=[]"]
    folder = start_run(config, tmp_path / "runs", settings)
    assert training.run(folder) == 0
    base = json.loads((folder / "run.json").read_text())["base"]
    assert (base["location"], base["commits"]) == (NAME, {NAME: COMMIT})
    stages = [e for e in read_events(folder / "events.jsonl") if isinstance(e, Stage) and e.name == "downloading"]
    assert stages[-1].done == stages[-1].total > 300_000
    assert training.read_job(runs.resume(runs.prepare(config, settings), tmp_path / "runs")).card.source.commits


def _fatten(hub: Hub, folder: Path) -> int:
    """Give the hub a base with a transformer of 3 MB; its size."""
    shutil.copytree(hub.repositories[NAME], folder / "fat")
    (folder / "fat" / BIG).write_bytes(bytes(range(256)) * 12_000)
    hub.repositories[NAME] = folder / "fat"
    return (folder / "fat" / BIG).stat().st_size
