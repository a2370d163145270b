"""The keys of LoRA files, taken apart: which layout, which layer's name, which tensor of the layer."""

from collections.abc import Iterable
from dataclasses import dataclass

from likeness.errors import InputError
from likeness.lora.names import CLIP, Found, Names

LAYOUTS = {
    "diffusers": "transformer.<name>.lora_A.weight, as diffusers, PEFT and Likeness write it",
    "comfyui": "diffusion_model.<name>.lora_A.weight, with the names that ComfyUI knows",
    "bfl": "diffusion_model.<name>.lora_A.weight, with the names of the model's original code",
    "kohya": "lora_unet_<name>.lora_down.weight and .alpha, as kohya's scripts write it",
    "peft": "base_model.model.<name>.lora_A.weight, with adapter_config.json beside it",
}
# Read, not written.
READ_ALSO = {
    "lycoris": "lycoris_<name>.lokr_w1 and the like",
    "onetrainer": "lora_transformer_<name>.lora_down.weight",
    "diffsynth": "<name>.lora_A.default.weight",
    "bare": "<name>.lora_A.weight",
}
_NETWORKS = ("transformer", "unet")
# Prefix -> layout, and the text encoder's prefix in diffusers files ("" for the network itself). Longer ones first.
_PREFIXES: dict[str, tuple[str, str]] = {
    "base_model.model.": ("peft", ""),
    "diffusion_model.": ("comfyui", ""),
    "text_encoders.clip_l.transformer.": ("comfyui", "text_encoder"),
    "text_encoders.clip_g.transformer.": ("comfyui", "text_encoder_2"),
    "text_encoder_2.": ("diffusers", "text_encoder_2"),
    "text_encoder.": ("diffusers", "text_encoder"),
    **{f"{network}.": ("diffusers", "") for network in _NETWORKS},
    "lora_unet_": ("kohya", ""),
    "lora_te1_": ("kohya", "text_encoder"),
    "lora_te2_": ("kohya", "text_encoder_2"),
    "lora_te_": ("kohya", "text_encoder"),
    "lora_transformer_": ("onetrainer", ""),
    "lycoris_": ("lycoris", ""),
}
_LOKR_AND_LOHA = (
    *(f"lokr_{w}{side}" for w in ("w1", "w2") for side in ("", "_a", "_b")),
    *(f"hada_{w}_{side}" for w in ("w1", "w2") for side in ("a", "b")),
)
# How the last part of a key is written -> what it holds.
_ENDINGS: dict[str, str] = {
    **{f".lora_{side}{adapter}.weight": f"lora_{side}" for side in "AB" for adapter in ("", ".default")},
    ".lora_down.weight": "lora_A",
    ".lora_up.weight": "lora_B",
    **{f".{old}.down.weight": "lora_A" for old in ("lora", "lora_linear_layer")},  # as diffusers' scripts for SD write
    **{f".{old}.up.weight": "lora_B" for old in ("lora", "lora_linear_layer")},
    ".alpha": "alpha",
    ".dora_scale": "magnitude",
    **{f".lora_magnitude_vector{end}": "magnitude" for end in ("", ".weight", ".default.weight")},
    **{f".{name}": name for name in _LOKR_AND_LOHA},
}


@dataclass(frozen=True)
class Key:
    """One key of a file. `module`: '' for the network, else the text encoder's prefix in diffusers files."""

    text: str
    layout: str
    module: str
    name: str
    holds: str

    @property
    def layer(self) -> str:
        """What is the same for all tensors of its layer."""
        return f"{self.module}:{self.name}"


def take_apart(texts: Iterable[str]) -> list[Key]:
    """Raises InputError naming the first keys that no layout has."""
    keys: list[Key] = []
    unknown: list[str] = []
    for text in texts:
        ending = next((e for e in _ENDINGS if text.endswith(e)), None)
        if ending is None:
            unknown.append(text)
            continue
        stem = text[: -len(ending)]
        prefix = next((p for p in _PREFIXES if stem.startswith(p)), "")
        layout, module = _PREFIXES.get(prefix, ("diffsynth" if ".default." in ending else "bare", ""))
        keys.append(Key(text, layout, module, stem.removeprefix(prefix), _ENDINGS[ending]))
    if unknown:
        raise InputError(
            f"{_first(unknown)} not understood; expected endings such as .lora_A.weight, .lora_down.weight, .alpha, "
            ".dora_scale, .lokr_w1 or .hada_w1_a. Fix: give a LoRA, DoRA, LoHa or LoKr file"
        )
    return keys


def find(key: Key, names: Names) -> Found | None:
    """The layer that a key of the file speaks of; None where the family has none of that name."""
    if not key.module:
        return names.index.find(key.name)
    if key.module not in {t.prefix for t in names.text_encoders}:
        return None
    # CLIPTextModel of transformers >= 5.6 has no `text_model` any more; files have kept it.
    return CLIP.find(key.name) or CLIP.find(f"text_model.{key.name}") or CLIP.find(f"text_model_{key.name}")


def layout_of(keys: Iterable[Key], names: Names) -> str:
    """The one layout of all keys. Raises InputError when they are of several."""
    keys = list(keys)
    layouts = {k.layout: k for k in reversed(keys)}
    if len(layouts) > 1:
        told = "; ".join(f"'{k.text}' is {layout}" for layout, k in layouts.items())
        raise InputError(f"keys of several layouts: {told}. Fix: convert the files before they are merged")
    layout = next(iter(layouts))
    if layout != "comfyui" or names.comfyui == "original":
        return layout
    found = [f for k in keys if not k.module and (f := names.index.find(k.name))]
    return "bfl" if any(f.part is None for f in found) else "comfyui"


def choose_family(keys: list[Key], families: Iterable[Names], metadata_words: str = "") -> Names:
    """The family whose layers these are: by names, then by what metadata says, then by the number of blocks.

    Raises InputError when none fits, or several do.
    """
    families = list(families)
    fits = [f for f in families if all(find(k, f) is not None and _network_fits(k, f) for k in keys)]
    if len(fits) > 1:
        plain = "".join(c for c in metadata_words.lower() if c.isalnum())
        said = {f.family: max((len(w) for w in f.known_as if w in plain), default=0) for f in fits}
        best = max(said.values())
        fits = [f for f in fits if said[f.family] == best] if best else fits
    if len(fits) > 1:
        fits = [f for f in fits if _depths_fit(keys, f)] or fits
    if len(fits) == 1:
        return fits[0]
    if fits:
        names = ", ".join(f.family for f in fits)
        raise InputError(f"its layers may be of {names}. Fix: name the base that it was trained on with --base")
    nearest = max(families, key=lambda f: sum(find(k, f) is not None for k in keys))
    strange = [k.text for k in keys if find(k, nearest) is None or not _network_fits(k, nearest)]
    raise InputError(
        f"{_first(strange)} not understood; the nearest family is {nearest.family}, with layers such as "
        f"{nearest.network}.{nearest.layers[-1].parts[0].replace('{i}', '0')}. Fix: give a LoRA for one of "
        f"{', '.join(f.family for f in families)}"
    )


def check_family(keys: Iterable[Key], names: Names) -> None:
    """Raises InputError naming the first keys that are not of this family."""
    strange = [k.text for k in keys if find(k, names) is None or not _network_fits(k, names)]
    if strange:
        raise InputError(
            f"{_first(strange)} not of family {names.family}, which has layers such as {names.network}."
            f"{names.layers[-1].parts[0].replace('{i}', '0')}. Fix: name the base that it was trained on"
        )


def _network_fits(key: Key, names: Names) -> bool:
    """`unet.` and `transformer.` tell families apart."""
    begins = key.text.split(".")[0]
    return begins not in _NETWORKS or begins == names.network


def _depths_fit(keys: Iterable[Key], names: Names) -> bool:
    """Whether the file has as many blocks as a published model of the family."""
    counted: dict[str, int] = {}
    for key in keys:
        found = find(key, names)
        if key.module or found is None or not found.number:
            continue
        place = found.layer.parts[0].split(".{i}")[0]
        counted[place] = max(counted.get(place, 0), int(found.number) + 1)
    return all(count in names.depths[place] for place, count in counted.items() if place in names.depths)


def _first(texts: list[str]) -> str:
    shown = ", ".join(f"'{t}'" for t in texts[:3])
    if len(texts) > 3:
        return f"{len(texts)} keys ({shown}, ...) are"
    return f"{shown} {'is' if len(texts) == 1 else 'are'}"
