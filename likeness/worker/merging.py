"""The job 'merge': several LoRA files into one, or into a copy of a base. Reads `job.json`, writes the file or folder
and `result.json`."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from likeness.errors import InputError
from likeness.events import EventLog, Stage
from likeness.lora.arithmetic import Cut
from likeness.lora.baking import bake
from likeness.lora.layouts import Lora, write_layers
from likeness.lora.merge import Recipe
from likeness.lora.mixture import Ingredient, check_same_family, layout_for, mixed, whole_changes
from likeness.lora.provenance import Source, made_of, merged_metadata, source_of
from likeness.worker.lora_sources import device_for, done, job_of, open_base, read_all, told


def run(folder: Path) -> int:
    """`job.json`: loras [{path, strength}], output, into_base, base (or null), layout (or null), precision, device,
    recipe (method, rank, keep, density, drop, seed)."""
    job, log = job_of(folder), EventLog(folder / "events.jsonl")
    paths = [Path(item["path"]) for item in job["loras"]]
    strengths = [float(item["strength"]) for item in job["loras"]]
    loras = read_all(paths, job["base"])
    ingredients = [Ingredient(*row) for row in zip(paths, loras, strengths, strict=True)]
    check_same_family(ingredients)
    sources = [source_of(i.path, i.lora.metadata, i.strength) for i in ingredients]
    result = (_into_base if job["into_base"] else _into_file)(job, ingredients, sources, log)
    return done(folder, result | {"method": job["recipe"]["method"], "sources": [asdict(s) for s in sources]})


def _recipe(job: dict[str, Any]) -> Recipe:
    said = dict(job["recipe"])
    return Recipe(cut=Cut(said.pop("rank"), said.pop("keep")), **said)


def _how(job: dict[str, Any]) -> dict[str, Any]:
    """What is written into the new file about its making: only what the method uses."""
    said = dict(job["recipe"])
    own = {"ties": ("density",), "dare": ("drop", "seed")}.get(said["method"], ())
    cut = {name: said[name] for name in ("rank", "keep") if said[name] is not None}
    return {"by": "merge", "method": said["method"], **{name: said[name] for name in own}, **cut}


def _into_file(job: dict[str, Any], ingredients: list[Ingredient], sources: list[Source], log: EventLog) -> Any:
    recipe, loras, output = _recipe(job), [i.lora for i in ingredients], Path(job["output"])
    dora = any(c.magnitude is not None for lora in loras for c in lora.changes.values())
    layout = layout_for(loras, job["layout"] or ("diffusers" if dora else None))
    weights = open_base(job["base"], log).weights if dora and job["base"] and not recipe.exact else None
    device = device_for(job["device"])
    mixture = mixed(
        ingredients,
        recipe,
        layout,
        job["precision"],
        device,
        weights.__getitem__ if weights else None,
        lambda count, total: log.write(Stage(name="merging", done=count, total=total)),
    )
    how = _how(job) | {"error": mixture.error}
    metadata = merged_metadata(output.stem, sources, [lora.metadata for lora in loras], how, mixture.ranks[-1])
    written = Lora(loras[0].names, layout, "", {}, metadata)
    write_layers(output, written, layout, mixture.layers)
    after = {f"{module}.{name}": change for module, name, change in mixture.layers}
    return told(replace(written, changes=after), output) | {"error": mixture.error}


def _into_base(job: dict[str, Any], ingredients: list[Ingredient], sources: list[Source], log: EventLog) -> Any:
    base, output = open_base(job["base"], log), Path(job["output"])
    if base.folder is None:
        raise InputError(f"--into-base: {base.card.name} is a file. Fix: name a folder in the diffusers layout")
    if output == base.folder or output.is_relative_to(base.folder) or base.folder.is_relative_to(output):
        raise InputError(f"--output: {output} and the base's folder {base.folder} overlap. Fix: name another folder")
    changes = dict(whole_changes(ingredients, _recipe(job), base.weights.__getitem__, device_for(job["device"])))
    baked = bake(
        base.folder,
        base.weights,
        changes,
        output,
        made_of(sources, _how(job) | {"base": base.card.name}),
        base.other_weights,
        lambda count, total: log.write(Stage(name="merging", done=count, total=total)),
    )
    return {"path": str(output), "family": base.card.family, "base": base.card.name, **asdict(baked)}
