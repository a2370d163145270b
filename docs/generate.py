"""Write the reference pages from the code they describe: `python -m docs.generate`.

A page is generated as a whole, or holds hand-written text around generated parts, each between
`<!-- generated: NAME -->` and `<!-- end -->`. `tests/docs` fails when a committed page differs from what comes out.
"""

import inspect
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from docs import lora_keys
from docs.interfaces import mcp_page, rest_page
from docs.markdown import code, table
from likeness import catalog, cli, events
from likeness.config.load import schema
from likeness.dataset.manifest import Example
from likeness.service import runs

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
NOTICE = "<!-- Written by `python -m docs.generate`; edit the code it describes, not this page. -->"
PART = re.compile(r"(<!-- generated: (?P<name>[\w.-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def pages() -> dict[Path, str]:
    """Every page that is generated, whole or in part, as it should be."""
    reference = DOCS / "reference"
    whole = {
        reference / "settings.md": settings_page(),
        reference / "cli.md": cli_page(),
        reference / "models.md": models_page(),
        reference / "events.md": events_page(),
        reference / "rest.md": rest_page(NOTICE),
        reference / "mcp.md": mcp_page(NOTICE),
    }
    in_part = (reference / "run-folder.md", reference / "lora-file.md", DOCS / "explanation" / "architecture.md")
    return whole | {path: filled(path.read_text(encoding="utf-8")) for path in in_part}


def filled(text: str) -> str:
    """A page with its generated parts made anew. Raises KeyError for a part that is not known."""
    return PART.sub(lambda m: f"{m[1]}\n{PARTS[m['name']]()}\n\n{m[3]}", text)


# --- settings


def settings_page() -> str:
    """Every setting of a run by group, and what each base fills in."""
    tree = schema()
    parts = [
        NOTICE,
        "# Settings",
        "A settings file is YAML. `name`, `base` and `data.datasets` are needed; all else has a default. Unknown "
        "keys are errors. A value comes from the first of these that has one: `--set KEY=VALUE` on the command line, "
        "the file, the Card of the base model, the default below. `run.json` keeps each value and where it came from.",
        "On the command line a setting is written with dots, list entries by their number from 0: "
        "`--set train.epochs=15 --set data.datasets.0.repeats=25`.",
        *_groups(tree, tree, ""),
        "## What the base model fills in",
        "Each base has a Card with values that suit it. They replace the defaults above where you say nothing.",
        _card_values(),
    ]
    return "\n\n".join(parts) + "\n"


def _groups(tree: dict[str, Any], section: dict[str, Any], prefix: str) -> Iterator[str]:
    """The heading, note and table of one group, then those of the groups inside it."""
    inner: list[tuple[str, dict[str, Any]]] = []
    rows: list[list[str]] = []
    for name, value in section["properties"].items():
        group, is_list = _group_of(tree, value)
        if group is not None:
            inner.append((f"{prefix}{name}{'[]' if is_list else ''}", group))
        if group is None or is_list:
            needed = name in section.get("required", ())
            default = "**needed**" if needed else _default(value)
            rows.append([code(prefix + name), _kind(value), default, _bounds(value), value.get("description", "")])
    title = prefix.rstrip(".")
    yield f"## {code(title)}" if title else "## The run"
    yield section.get("description", "")
    if rows:
        yield table(("setting", "type", "default", "allowed", "what it does"), rows)
    for name, group in inner:
        yield from _groups(tree, group, f"{name}.")


def _group_of(tree: dict[str, Any], value: dict[str, Any]) -> tuple[dict[str, Any] | None, bool]:
    """The group of settings behind a value, and whether it is a list of them."""
    is_list = value.get("type") == "array"
    inside = value.get("items", {}) if is_list else value
    for branch in [inside, *inside.get("anyOf", ()), *inside.get("allOf", ())]:
        if reference := branch.get("$ref"):
            return tree["$defs"][reference.rpartition("/")[2]], is_list
    return None, is_list


_KINDS = {
    "string": "text",
    "object": "settings",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
}


def _branches(value: dict[str, Any]) -> list[dict[str, Any]]:
    return [b for b in value.get("anyOf", [value]) if b.get("type") != "null"]


def _kind(value: dict[str, Any]) -> str:
    kinds = ("choice" if "enum" in b or "const" in b else _KINDS[b["type"]] for b in _branches(value))
    return " or ".join(dict.fromkeys(kinds))


def _default(value: dict[str, Any]) -> str:
    default = value.get("default", [] if value.get("type") == "array" else None)
    if default is None:
        return "unset"
    if default in ("", []):
        return "empty"
    return code(json.dumps(default).strip('"'))


def _bounds(value: dict[str, Any]) -> str:
    return ", or ".join(found for b in _branches(value) if (found := _bounds_of(b, value)))


def _bounds_of(branch: dict[str, Any], value: dict[str, Any]) -> str:
    if "form" in value:  # a pattern says itself in words
        return value["form"]
    if "enum" in branch or "const" in branch:
        return ", ".join(code(v) for v in branch.get("enum", [branch.get("const")]))
    words = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}
    words |= {"minItems": "at least {} of them"}
    return ", ".join(text.format(branch[key]) for key, text in words.items() if key in branch)


def _card_values() -> str:
    names = list(dict.fromkeys(key for card in catalog.CARDS.values() for key in card.run_defaults()))
    rows = [
        [code(name), *(code(v) if (v := card.run_defaults().get(name)) is not None else "–" for card in _cards())]
        for name in names
    ]
    return table(("setting", *(code(card.name) for card in _cards())), rows)


def _cards() -> list[catalog.Card]:
    return list(catalog.CARDS.values())


# --- command line


def cli_page() -> str:
    """Every command with its arguments, options and examples."""
    parts = [
        NOTICE,
        "# Command line",
        f"{cli.app.help} The same program runs as `python -m likeness`.",
        "Exit codes: 0 done; 1 failed for an unforeseen reason, or `doctor` found a problem; 2 what was given cannot "
        "be used; 3 the run failed and its state is saved; 130 interrupted. With `--json` the result, or "
        '`{"error": …, "exit_code": …}`, is printed as JSON, and nothing else.',
    ]
    for words, command in _commands(cli.app):
        parts += _command(words, command)
    return "\n\n".join(parts) + "\n"


def _commands(app: Any, *words: str) -> Iterator[tuple[str, Any]]:
    """(how it is called, command) for every command, also those in groups."""
    for name in app:
        if not name.startswith("-"):
            inner = app[name]
            if any(not other.startswith("-") for other in inner):
                yield from _commands(inner, *words, name)
            else:
                yield " ".join((*words, name)), inner


def _command(name: str, command: Any) -> Iterator[str]:
    examples = str(command.help_epilogue or "").removeprefix("Examples:").split("\n\n")
    yield f"## `likeness {name}`"
    yield inspect.cleandoc(command.help)
    rows: list[list[str]] = []
    for argument in command.assemble_argument_collection():
        if argument.children:  # a group of settings, each of which is an option of its own
            continue
        default = argument.field_info.default
        if argument.required:
            shown = "**needed**"
        elif default in (None, "", False, []):
            shown = ""
        else:
            shown = code(default)
        names = " ".join(code(n) for n in argument.names)
        rows.append([names, _hint(argument.hint), shown, argument.parameter.help or ""])
    yield table(("option", "takes", "default", "what it does"), rows)
    shown_examples = "\n".join(line for line in examples if line.strip())
    yield f"```text\n{shown_examples}\n```"


def _hint(hint: Any) -> str:
    """A type as a person would say it; several in one for what may be repeated."""
    options = [h for h in get_args(hint) if h is not type(None)]
    if get_origin(hint) is Literal:
        return ", ".join(options)
    if get_origin(hint) is list:
        return _hint(options[0]) + ", repeatable"
    if options:
        return _hint(options[0])
    return {Path: "path", str: "text", int: "whole number", float: "number", bool: "nothing"}[hint]


# --- models


def models_page() -> str:
    """All Cards."""
    parts = [
        NOTICE,
        "# Base models",
        "The same list comes from `likeness models`, and with all details from `likeness models --json`. A folder in "
        "the diffusers layout, or a hub repository of these families, works as `base` too: see "
        "[Real bases](../guides/real-bases.md). Download sizes are counted from parameters at two bytes each, not "
        "measured.",
    ]
    for card in _cards():
        parts += [f"## {card.title}", table(("", ""), ([what, value] for what, value in _facts(card) if value))]
    return "\n\n".join(parts) + "\n"


def _facts(card: catalog.Card) -> Iterator[tuple[str, str]]:
    yield "`base:`", code(card.name)
    yield "good for", card.good_for
    yield "when to pick it", card.pick
    yield "newer", code(card.successor) if card.successor else ""
    yield "licence", card.licence
    yield "languages", ", ".join(card.languages)
    yield "parameters of the transformer", card.parameters
    yield "hub repository", code(card.repository) if card.repository else "none: it ships inside"
    yield "download", f"{card.download_bytes / 1e9:.0f} GB" if card.download_bytes else ""
    yield "resolution", f"{card.resolution} × {card.resolution}; sides in steps of {card.multiple}"
    yield "sampling", f"{card.steps} steps, {card.guidance_words}"
    yield "negative prompt", "yes" if card.negative_prompt else "no"
    yield "source pictures (edits)", "yes" if card.edits else "no"
    yield "distilled", "yes: made for drawing, not for training" if card.distilled else "no"
    yield "text encoder can be trained", "yes" if card.trains_text_encoder else "no"
    yield "a LoRA trained here also runs on", ", ".join(map(code, card.runs_on))
    yield "its own settings", ", ".join(code(f"{k}: {v}") for k, v in card.defaults.items())


# --- events


def events_page() -> str:
    """All kinds of events with their fields."""
    parts = [
        NOTICE,
        "# Events",
        "`events.jsonl` in the [run folder](run-folder.md) tells what a run does, one JSON object a line. "
        "`event` says the kind; `time` is in seconds since 1970. After a resume, steps since the last saved "
        "state appear twice: the last line of a step counts. Skip kinds and fields that you do not know, and a last "
        "line that is not whole.",
    ]
    for kind, event in events.KINDS.items():
        note = inspect.cleandoc(event.__doc__ or "") if not (event.__doc__ or "").startswith(event.__name__) else ""
        comments, hints = _comments(event), get_type_hints(event)
        rows = [
            [code(f.name), code(_type_name(hints[f.name])), _field_default(f), comments.get(f.name, "")]
            for f in fields(event)
            if f.name != "time"
        ]
        parts += [f"## `{kind}`", *([note] if note else []), table(("field", "type", "default", "note"), rows)]
    return "\n\n".join(parts) + "\n"


def _type_name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)


def _field_default(f: Any) -> str:
    return "" if f.default is MISSING else code(f.default)


def _comments(cls: type) -> dict[str, str]:
    """What the source says in a comment behind each field."""
    return dict(re.findall(r"^    (\w+): [^#\n]*?  # (.+)$", inspect.getsource(cls), re.MULTILINE))


# --- parts of pages


def run_json_keys() -> str:
    """The keys of a real run.json, made from the shipped example; no key may be without its description."""
    with tempfile.TemporaryDirectory() as folder:
        run = runs.start(runs.prepare(ROOT / "examples" / "character" / "mika.yaml"), Path(folder))
        frozen: dict[str, Any] = json.loads((run / "run.json").read_text(encoding="utf-8"))
    rows: list[list[str]] = []
    for key, value in frozen.items():
        rows.append([code(key), RUN_JSON[key]])
        if key in ("plan", "base"):
            rows += [[code(f"{key}.{inner}"), RUN_JSON[f"{key}.{inner}"]] for inner in value]
    return table(("key", "what it holds"), rows)


RUN_JSON = {
    "likeness": "version that started the run, or went on with it last",
    "name": "name of the run",
    "config": "every setting with its value, as in [Settings](settings.md); paths are absolute",
    "sources": "where each value came from, by dotted setting: `default`, `card NAME`, `FILE:LINE` or `--set`",
    "plan": "length of the run",
    "plan.images": "images trained on, without the held-out ones",
    "plan.held_out": "images kept out to measure with",
    "plan.epochs": "passes over all images and repeats",
    "plan.examples_per_epoch": "images × repeats",
    "plan.steps_per_epoch": "optimizer updates per epoch",
    "plan.steps": "optimizer updates in all",
    "plan.arithmetic": "how that number came about, in words",
    "base": "the base model as it was found",
    "base.name": "name in the catalogue, or of the folder or repository",
    "base.location": "folder or hub repository that was loaded",
    "base.family": "model family",
    "base.resolution": "side in pixels of the square whose area the base draws",
    "base.pipeline_arguments": "what a stock pipeline's call needs to encode text as here",
    "parent": "the run that it went on from: `run`, `epoch`, `path` and `sha256` of the LoRA file; null for none",
    "digest": "SHA-256 of the settings; also in the metadata of each LoRA file",
}


def manifest_keys() -> str:
    """The keys of a manifest row."""
    comments, hints = _comments(Example), get_type_hints(Example)
    rows = [[code(f.name), code(_type_name(hints[f.name])), comments.get(f.name, "")] for f in fields(Example)]
    return table(("key", "type", "note"), rows)


def lora_metadata() -> str:
    """The metadata of a real LoRA file; no key may be without its description."""
    found = lora_keys.metadata_of_a_small_run()
    rows = [[code(key), lora_keys.MEANING[key], _example(key, value)] for key, value in found.items()]
    return table(("key", "what it holds", "for example"), rows)


def _example(key: str, value: str) -> str:
    if key == "likeness_config_sha256":
        return "64 hex digits"
    return code(value if len(value) <= 60 else value[:57] + "…") if value else "empty"


def layer_table() -> str:
    """Who may import whom, from the test that holds it."""
    from tests.test_layers import ALLOWED, TORCH_FREE

    rows = [
        [code(room), ", ".join(map(code, sorted(allowed))) or "nothing", "no" if room in TORCH_FREE else "yes"]
        for room, allowed in ALLOWED.items()
        if not room.startswith("__")
    ]
    return table(("room", "may import", "torch"), rows)


PARTS: dict[str, Callable[[], str]] = {
    "run.json": run_json_keys,
    "manifest": manifest_keys,
    "lora-metadata": lora_metadata,
    "layers": layer_table,
}


def main() -> None:
    """Write all pages that differ, and say which."""
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
