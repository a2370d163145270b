"""All stages in a given time: which are called with what, and where the same command goes on."""

import subprocess
from pathlib import Path

import pytest
import torch

from starter_recipe import __main__ as whole


class Calls:
    """Stands for the stages: each uses up the time that it is told, or half of it once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.seen: list[list[str]] = []
        self.stops_in = ""
        monkeypatch.setattr(subprocess, "run", self)

    def __call__(self, call: list[str], check: bool) -> None:
        options = dict(zip(call[3::2], call[4::2], strict=True))
        name = call[2].removeprefix("starter_recipe.")
        self.seen.append([name, *call[3:]])
        folder = Path(options["--out"])
        folder.mkdir(parents=True, exist_ok=True)
        minutes = float(options["--minutes"])
        torch.save({"spent": 60 * minutes * (0.5 if name == self.stops_in else 1)}, folder / "state.pt")

    @property
    def names(self) -> list[str]:
        return [call[0] for call in self.seen]


def test_each_stage_gets_its_share_and_what_the_one_before_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls(monkeypatch)
    whole.main(["--minutes", "20", "--from", "likeness/starter", "--out", str(tmp_path)])
    assert calls.names == ["vae", "reader", "transformer", "distill"]
    minutes = [float(call[call.index("--minutes") + 1]) for call in calls.seen]
    assert minutes == [4, 4, 8, 4]
    vae, reader, transformer, distill = calls.seen
    starts = [call[call.index("--from") + 1] for call in (vae, transformer, distill)]
    assert starts == ["likeness/starter/vae", "likeness/starter", str(tmp_path / "transformer" / "starter")]
    for call in (reader, transformer):
        assert call[call.index("--vae") + 1] == str(tmp_path / "vae" / "final")
    assert Path(reader[reader.index("--from") + 1]).exists()
    assert reader[reader.index("--pool") + 1] == transformer[transformer.index("--out") + 1]
    assert transformer[transformer.index("--reader") + 1] == str(tmp_path / "reader" / "reader.safetensors")
    assert float(transformer[transformer.index("--ask") + 1]) > 0
    whole.main(["--minutes", "20", "--from", "likeness/starter", "--out", str(tmp_path)])
    assert len(calls.seen) == 4  # nothing is left to do


def test_a_stage_that_pauses_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch)
    calls.stops_in = "transformer"
    run = ["--minutes", "20", "--pause", "9", "--out", str(tmp_path)]
    whole.main(run)
    assert calls.names == ["vae", "transformer"]
    assert "--from" not in calls.seen[0] and "--ask" not in calls.seen[1]
    calls.stops_in = ""
    whole.main(run)
    assert calls.names == ["vae", "transformer", "transformer", "distill"]
    pauses = [float(call[call.index("--pause") + 1]) for call in calls.seen]
    assert all(8 < p <= 9 for p in pauses)


def test_a_failed_stage_stops_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(call: list[str], check: bool) -> None:
        raise subprocess.CalledProcessError(1, call)

    monkeypatch.setattr(subprocess, "run", fails)
    with pytest.raises(subprocess.CalledProcessError):
        whole.main(["--minutes", "1", "--out", str(tmp_path)])
    assert not (tmp_path / "stages.json").exists()
