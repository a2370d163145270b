import importlib
import pkgutil

from likeness import studio
from likeness.studio.endings import ENDINGS


def test_every_room_puts_away_what_its_jobs_leave_and_no_two_share_a_verb() -> None:
    found: dict[str, str] = {}
    for module in pkgutil.walk_packages(studio.__path__, "likeness.studio."):
        if module.name == "likeness.studio.endings":
            continue
        for verb in getattr(importlib.import_module(module.name), "ENDINGS", {}):
            assert found.setdefault(verb, module.name) == module.name, f"{verb}: {found[verb]} and {module.name}"
    assert set(found) == set(ENDINGS) and len(found) > 5
