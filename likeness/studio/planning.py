"""What a run would be, before it is started: checked, counted, priced, and sealed with a digest."""

import hashlib
import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import BaseModel

from likeness import durable
from likeness.config.caption import OLLAMA, OPENAI
from likeness.config.document import YAML_SCALARS
from likeness.config.names import is_name
from likeness.config.plan import Plan, Suggestion
from likeness.config.run import RunConfig
from likeness.config.tree import section_at
from likeness.dataset.checks import Finding
from likeness.errors import InputError
from likeness.service import runs
from likeness.service.costs import Cost, estimate
from likeness.service.machine import machine
from likeness.service.runs import Prepared
from likeness.studio import preferences
from likeness.studio.measured import measured_runs
from likeness.studio.references import Used, resolve
from likeness.studio.workspace import Studio

MOST_DRAFTS = 200  # settings files that are kept of plans
_CHECK_COMMAND = re.compile(r"see all with `likeness dataset check [^`]*`")


@dataclass(frozen=True)
class Planned:
    """A run that passed every check. Nothing of it exists yet but its settings file, `draft`.

    `digest` is over all that decides the run: settings, pictures, captions, dataset versions, base and length.
    """

    digest: str
    prepared: Prepared
    cost: Cost
    yaml: str  # `likeness train` makes the same run of it
    draft: Path
    datasets: tuple[Used, ...]
    name_taken: bool  # there is a run of this name; the digest does not depend on it

    @property
    def name(self) -> str:
        return self.prepared.config.name

    @property
    def plan(self) -> Plan:
        return self.prepared.plan

    @property
    def findings(self) -> list[Finding]:
        return self.prepared.findings

    @property
    def suggestions(self) -> list[Suggestion]:
        return self.prepared.suggestions

    @property
    def notes(self) -> list[str]:
        return [*self.prepared.loaded.notes, *self.prepared.notes]


def plan(studio: Studio, config: dict[str, Any]) -> Planned:
    """Check a tree of settings, as a YAML file would hold it, and tell what the run would be.

    Datasets of the studio that it names (see `references`) are frozen. Raises InputError with every problem found, each
    'SETTING: what is wrong. Fix: what to do'.
    """
    prepared, draft, text, used = checked(studio, config)
    taken = studio.run_folder(prepared.config.name).exists()
    cost = estimate(prepared, machine(studio.workspace), measured_runs(studio))
    return Planned(_digest(prepared, used), prepared, cost, text, draft, tuple(used), taken)


def checked(studio: Studio, config: dict[str, Any]) -> tuple[Prepared, Path, str, list[Used]]:
    """A run from a tree of settings, its settings file with the text in it, and the datasets that it uses.

    Raises InputError as `plan` does.
    """
    resolved = resolve(studio, config)
    text = as_yaml(resolved.values)
    draft = _keep_draft(studio, resolved.values.get("name"), text)
    try:
        _refuse_devices(resolved.values)
        prepared = runs.prepare(draft)
        _refuse_servers(studio, prepared.config)
        studio.run_folder(prepared.config.name)  # refuses the studio's own folder
    except InputError as e:
        raise InputError(*(_plain(problem, draft.name) for problem in e.problems)) from e
    return prepared, draft, text, resolved.datasets


def as_yaml(values: dict[str, Any]) -> str:
    """Settings as the text of a file that reads as the same values; the same for the same settings in any order."""
    try:
        return yaml.dump(_ordered(values, ()), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    except (RecursionError, yaml.YAMLError) as e:
        raise InputError("config: cannot be written as settings. Fix: give groups, lists and plain values") from e


class _Dumper(yaml.SafeDumper):
    """Writes text in quotes where the reader of settings would take it for something else, and no aliases."""

    yaml_implicit_resolvers = YAML_SCALARS

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _ordered(value: Any, key: tuple[str | int, ...]) -> Any:
    """Settings in the order in which they are declared, without those that have no value."""
    if isinstance(value, list):
        return [_ordered(entry, (*key, i)) for i, entry in enumerate(cast(list[Any], value))]
    if not isinstance(value, dict):
        return value
    group = cast(dict[str, Any], value)
    section: type[BaseModel] | None = section_at(key)
    declared = list(section.model_fields) if section else []
    names = [n for n in declared if n in group] + sorted(n for n in group if n not in declared)
    return {n: _ordered(group[n], (*key, n)) for n in names if group[n] is not None}


def _keep_draft(studio: Studio, name: Any, text: str) -> Path:
    """The settings as a file. It is called as the run: where each setting was written is kept in `run.json`."""
    stem = name if isinstance(name, str) and is_name(name) else "run"
    folder = studio.root / "drafts" / hashlib.sha256(text.encode()).hexdigest()[:16]
    durable.write_text(folder / f"{stem}.yaml", text)
    drafts = sorted(folder.parent.iterdir(), key=lambda path: path.stat().st_mtime)
    for old in drafts[:-MOST_DRAFTS]:
        shutil.rmtree(old, ignore_errors=True)
    return folder / f"{stem}.yaml"


def _refuse_devices(values: dict[str, Any]) -> None:
    """The queue gives each run a device, and shows the worker no other."""
    hardware: Any = values.get("hardware")
    device: Any = cast(dict[str, Any], hardware).get("device") if isinstance(hardware, dict) else None
    if isinstance(device, str) and re.fullmatch(r"cuda:\d+", device):
        raise InputError(
            f"hardware.device: '{device}' cannot be chosen; the queue gives each run one. Fix: leave it out"
        )


def _refuse_servers(studio: Studio, config: RunConfig) -> None:
    """Where pictures may be sent to is for whoever runs the studio to say, not for whoever calls it."""
    crops = config.data.detail_crops
    endpoint = crops.caption_endpoint.rstrip("/")
    allowed = {url.rstrip("/") for url in preferences.get(studio, preferences.Captions).servers}
    if crops.enabled and crops.enable_captioning and endpoint not in {"", OLLAMA, OPENAI, *allowed}:
        raise InputError(
            f"data.detail_crops.caption_endpoint: {endpoint} is not among the servers that may be asked for captions. "
            "Fix: allow it in the settings of the studio"
        )


def _digest(prepared: Prepared, datasets: list[Used]) -> str:
    decides = {
        "run": runs.frozen(prepared),
        "examples": [asdict(example) for example in prepared.examples],
        "datasets": [asdict(use) for use in datasets],
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode()).hexdigest()


def _plain(problem: str, file: str) -> str:
    """A problem without the place in a settings file that nobody wrote by hand: it begins with the setting."""
    problem = re.sub(rf"^{re.escape(file)}(:\d+)*: ", "", problem)
    return _CHECK_COMMAND.sub("see all in the findings of the dataset", problem)
