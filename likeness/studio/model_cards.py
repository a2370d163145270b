"""What is known of a model beyond its file: how it was trained, what was measured; and the page that is published."""

import json
import re
import shlex
from pathlib import PureWindowsPath
from typing import Any, cast

import yaml

from likeness.catalog import Card, find_card
from likeness.report.history import History, mapping
from likeness.report.scorecard import COLUMNS
from likeness.report.settings import read_settings
from likeness.store.tables import Model
from likeness.studio.lora_file import LoraFacts

_SPDX = {"Apache-2.0": "apache-2.0"}  # licences of bases that the hub has a short name for
_OPEN_RAIL = {"CreativeML OpenRAIL-M": "creativeml-openrail-m", "CreativeML Open RAIL++-M": "openrail++"}
_NOT_TOLD = ("name", "kind", "base", "trigger", "description")  # settings that a model has as fields of its own
_UNSAFE = re.compile(r"[\\`*_{}\[\]<>#|]")  # what Markdown takes for more than a letter


# --- facts


def facts_of_file(facts: LoraFacts) -> dict[str, Any]:
    """What the file says, as a model's card keeps it."""
    told: dict[str, Any] = {
        "type": facts.type, "rank": facts.rank, "tensors": facts.tensors, "numbers": facts.numbers,
        "base_words": facts.base_words, "epoch": facts.epoch, "metadata": facts.metadata,
    }  # fmt: skip
    return {"file": told}


def facts_of_base(base: str) -> dict[str, Any]:
    """Title, licence and place of a base of the catalogue; nothing of another."""
    card = find_card(base) if base else None
    return {"base": _base(card)} if card else {}


def facts_of_run(history: History, epoch: int) -> dict[str, Any]:
    """How a run trained this epoch, and what was measured of it. Names nothing of this machine's folders."""
    plan, base = mapping(history.run_json.get("plan")), mapping(history.run_json.get("base"))
    card = find_card(str(history.config("base") or ""))
    facts: dict[str, Any] = {
        "base": _base(card) if card else {"name": base.get("name"), "resolution": base.get("resolution")},
        "run": {
            "name": history.name,
            "epoch": epoch,
            "epochs": plan.get("epochs"),
            "step": plan["steps_per_epoch"] * epoch if isinstance(plan.get("steps_per_epoch"), int) else None,
            "steps": plan.get("steps"),
            "images": plan.get("images"),
            "digest": history.run_json.get("digest"),
            "likeness": history.run_json.get("likeness"),
        },
        "settings": {
            row.key: _without_folder(row.value)
            for row in read_settings(history)[0]
            if row.key not in _NOT_TOLD and not row.key.startswith("sampling.prompts")
        },
        "sampling": {
            name: value
            for name in ("steps", "guidance", "width", "height", "negative_prompt")
            if (value := history.config(f"sampling.{name}"))
        },
    }
    if parts := history.config("model.parts_from"):
        facts["base"]["parts_from"] = parts
    if parent := mapping(history.run_json.get("parent")):
        facts["lineage"] = [{"name": str(parent.get("run")), "epoch": parent.get("epoch"),
                             "sha256": parent.get("sha256"), "strength": 1.0}]  # fmt: skip
    return facts | _measured(history, epoch)


def _base(card: Card) -> dict[str, Any]:
    return {
        "name": card.name, "title": card.title, "repository": card.repository, "licence": card.licence,
        "resolution": card.resolution,
    }  # fmt: skip


def _measured(history: History, epoch: int) -> dict[str, Any]:
    """The verdict on the run, and the figures of this epoch."""
    verdict = history.verdict
    if verdict is None:
        return {}
    row = next((row for row in verdict.rows if row.get("epoch") == epoch), {})
    return {
        "verdict": {
            "verdict": verdict.verdict, "sentence": verdict.sentence, "suggested": verdict.suggested,
            "sweet_spot": verdict.sweet_spot, "overfit_from": verdict.overfit_from, "flags": verdict.flags,
        },
        "measures": {key: value for key, value in row.items() if key != "epoch" and value is not None},
    }  # fmt: skip


def portable_run(run_json: dict[str, Any]) -> dict[str, Any]:
    """A run's settings for other eyes: as in run.json, with every folder of this machine cut to its last name."""
    kept = {key: run_json[key] for key in ("likeness", "name", "config", "plan", "base", "digest") if key in run_json}
    return portable(kept)


def portable(value: dict[str, Any]) -> dict[str, Any]:
    """The same with every text that is an absolute path cut to its last name."""
    return cast(dict[str, Any], _portable(value))


def portable_base(base: str) -> str:
    """A base as others can find it: a name or repository; of a folder or file its last name alone."""
    return base if find_card(base) else _without_folder(base)


def _portable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _portable(inner) for key, inner in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [_portable(inner) for inner in cast(list[Any], value)]
    return _without_folder(value) if isinstance(value, str) else value


def _without_folder(text: str) -> str:
    """'/home/ada/photos/mika' as 'mika'; what is no absolute path as it is."""
    if "\n" in text or not (text.startswith(("/", "~")) or PureWindowsPath(text).drive):
        return text
    return PureWindowsPath(text).name  # knows both slashes


# --- in words


def measures_in_words(card: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(name, figure, what it says) of each measure of the epoch, in the scorecard's order."""
    measured = mapping(card.get("measures"))
    rows: list[tuple[str, str, str]] = []
    for key, name, words in COLUMNS:
        value = measured.get(key)
        if isinstance(value, list) and value:
            mean, noise = cast(list[Any], [*value, None])[:2]
            if isinstance(mean, int | float):
                rows.append((name, f"{mean:.2f}" + (f" ±{noise:.2f}" if isinstance(noise, int | float) else ""), words))
        elif isinstance(value, int | float):
            rows.append((name, f"{value:.4f}", words))
    return rows


def in_words(model: Model) -> list[tuple[str, str]]:
    """The facts of a model as (name, value), those that are known."""
    card = model.card
    run, file, base = mapping(card.get("run")), mapping(card.get("file")), mapping(card.get("base"))
    trained = f"epoch {run.get('epoch')} of {run.get('epochs')}" if run.get("epochs") else ""
    rows: list[tuple[str, Any]] = [
        ("base", str(base.get("title") or portable_base(model.base) or file.get("base_words") or "not known")),
        ("kind", model.kind),
        ("trigger", model.trigger),
        ("strength", f"{model.strength:g}"),
        (
            "type",
            " ".join(str(part) for part in (file.get("type"), file.get("rank") and f"rank {file['rank']}") if part),
        ),
        ("trained for", trained),
        ("pictures", run.get("images")),
        ("learning rate", mapping(card.get("settings")).get("optim.learning_rate")),
        ("verdict on the run", mapping(card.get("verdict")).get("sentence")),
        ("size", f"{model.size_bytes / 1e6:,.1f} MB"),
        ("licence of the base", base.get("licence")),
    ]
    return [(name, str(value)) for name, value in rows if value not in (None, "")]


# --- the published page


def readme(model: Model, tags: list[str], pictures: list[tuple[str, str]]) -> str:
    """README.md as the hub reads it: facts in front, then words for people. `pictures`: (file, prompt)."""
    base = mapping(model.card.get("base"))
    front = {
        **({"base_model": base["repository"], "base_model_relation": "adapter"} if base.get("repository") else {}),
        **_licence(str(base.get("licence") or "")),
        **({"instance_prompt": model.trigger} if model.trigger else {}),
        "library_name": "diffusers",
        "pipeline_tag": "image-to-image" if model.kind == "edit" else "text-to-image",
        "tags": list(dict.fromkeys(["lora", "diffusers", "template:diffusion-lora", "likeness", *tags])),
        **({"widget": [{"text": prompt, "output": {"url": file}} for file, prompt in pictures]} if pictures else {}),
    }
    head = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=1000)
    parts = [f"---\n{head}---", f"# {_plain(model.name)}"]
    if model.description:
        parts.append(_plain(model.description))
    if pictures:
        parts.append("<Gallery />")
    if model.trigger:
        parts.append(f"Write `{_code(model.trigger)}` in the prompt to call up what was learned.")
    facts = "\n".join(f"| {name} | {_plain(value)} |" for name, value in in_words(model))
    parts.append(f"## Facts\n\n| | |\n| --- | --- |\n{facts}")
    if measures := measures_in_words(model.card):
        rows = "\n".join(f"| {name} | {figure} | {words} |" for name, figure, words in measures)
        parts.append(f"## Measured\n\nOf this epoch, by Likeness.\n\n| | | |\n| --- | --- | --- |\n{rows}")
    if settings := mapping(model.card.get("settings")):
        rows = "\n".join(f"| `{_code(k)}` | {_plain(str(v))} |" for k, v in sorted(settings.items()))
        parts.append(f"## Settings\n\n| | |\n| --- | --- |\n{rows}")
    parts.append(f"## Use\n\n{_usage(model)}")
    return "\n\n".join(parts) + "\n"


def _licence(words: str) -> dict[str, str]:
    """Of the base; a LoRA may not be freer than what it was made from."""
    known = (_SPDX | _OPEN_RAIL).get(words)
    return {"license": known} if known else {"license": "other"} | ({"license_name": words} if words else {})


def _usage(model: Model) -> str:
    """A script for stock diffusers where the base can be had by its name, else a command of Likeness."""
    prompt = f"{model.trigger}, …" if model.trigger else "…"
    place = mapping(model.card.get("base")).get("repository")
    if not place:
        words = ["likeness", "sample", "--base", portable_base(model.base) or "BASE"]
        words += ["--lora", f"{model.file}:{model.strength:g}", "--prompt", prompt]
        return f"```text\n{_fenced(shlex.join(words))}\n```"
    lines = [
        "from diffusers import DiffusionPipeline",
        "",
        f"pipe = DiffusionPipeline.from_pretrained({_quoted(str(place))})",
        f'pipe.load_lora_weights(".", weight_name={_quoted(model.file)}, adapter_name="lora")',
        f'pipe.set_adapters(["lora"], [{model.strength:g}])',
        f"image = pipe({_quoted(prompt)}).images[0]",
    ]
    return "```python\n{}\n```".format(_fenced("\n".join(lines)))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _fenced(text: str) -> str:
    return text.replace("```", "")


def _code(text: str) -> str:
    return " ".join(text.replace("`", "").replace("|", "").split())


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _UNSAFE.sub(lambda m: "\\" + m[0], " ".join(text.split()))


def as_json(tree: dict[str, Any]) -> str:
    """The same bytes for the same content."""
    return json.dumps(tree, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
