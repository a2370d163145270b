"""A mock run that is stopped anywhere leaves in the end what an undisturbed one leaves."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.errors import Interrupted
from likeness.worker import mocking


def left(folder: Path) -> list[str]:
    return sorted(
        p.relative_to(folder).as_posix() for kind in ("checkpoints", "samples") for p in folder.rglob(f"{kind}/**/*.*")
    )


@pytest.mark.parametrize("after", [1, 4, 7, 8, 9, 10, 11, 12, 15, 20])
def test_stopped_anywhere_it_goes_on(
    make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(mocking, "SECONDS", 0)
    folders = [make_run(name, train__epochs=3) for name in ("whole", "cut")]
    for folder in folders:
        frozen = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps(frozen | {"mock": True}))
    assert mocking.run(folders[0]) == 0
    turns = iter(range(10**6))
    with monkeypatch.context() as patch:
        patch.setattr(mocking, "StopRequest", lambda: lambda: next(turns) == after)
        with pytest.raises(Interrupted):
            mocking.run(folders[1])
    assert mocking.run(folders[1]) == 0
    assert left(folders[0]) == left(folders[1]) and len(left(folders[0])) == 3 + 4
