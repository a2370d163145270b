"""What the layers of a network are called: by diffusers, and by the model's original code.

Each family's file holds a constant `NAMES`: a table for each kind of network that it loads. Names are dotted; `{i}`
stands for a block's number. Where the original code keeps several layers in one (queries, keys and values as `qkv`),
that one is listed with its parts.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

Naming = Literal["diffusers", "original"]
_DIGITS = re.compile(r"\d+|\{i\}")


@dataclass(frozen=True)
class Layer:
    """One layer of the original code and the diffusers layers that its rows are.

    `shares` are the relative heights of the parts. `swapped`: the two halves of the rows stand in the other order
    (shift before scale).
    """

    parts: tuple[str, ...]
    original: str
    shares: tuple[int, ...] = (1,)
    swapped: bool = False


@dataclass(frozen=True)
class TextEncoder:
    """A CLIP text encoder: its prefix in diffusers files, in kohya's (underscores follow) and in ComfyUI's."""

    prefix: str
    kohya: str
    comfyui: str


@dataclass(frozen=True)
class Found:
    """What a name in a file means: block `number` of `layer`; `part` is None for the layer of the original code."""

    layer: Layer
    number: str
    part: int | None

    @property
    def original(self) -> str:
        return self.layer.original.replace("{i}", self.number)

    @property
    def diffusers(self) -> tuple[str, ...]:
        """The diffusers layers that it stands for: one, or all parts."""
        names = tuple(p.replace("{i}", self.number) for p in self.layer.parts)
        return names if self.part is None else (names[self.part],)


class Names:
    """The names of one family's network, and how each file layout calls them.

    `depths`: how many blocks published models have, by the block list's diffusers name; tells apart families whose
    layers are called alike. `known_as`: how metadata of other tools calls the family, in small letters and digits.
    `pipelines`: the stock pipelines of bases with these names, where a family's file holds several tables.
    """

    def __init__(
        self,
        family: str,
        layers: Iterable[Layer],
        *,
        network: str = "transformer",
        comfyui: Naming = "original",
        kohya: Naming = "original",
        text_encoders: tuple[TextEncoder, ...] = (),
        depths: Mapping[str, tuple[int, ...]] | None = None,
        known_as: tuple[str, ...] = (),
        pipelines: tuple[str, ...] = (),
    ):
        self.family, self.network = family, network
        self.layers = tuple(layers)
        self.comfyui: Naming = comfyui
        self.kohya: Naming = kohya
        self.text_encoders = text_encoders
        self.depths = dict(depths or {})
        self.known_as = known_as or (family,)
        self.pipelines = pipelines

    @cached_property
    def index(self) -> "Index":
        return Index(self.layers)

    @property
    def has_original(self) -> bool:
        """Whether the original code names any layer differently."""
        return any(layer.parts != (layer.original,) for layer in self.layers)


@dataclass(frozen=True)
class _Entry:
    pattern: re.Pattern[str]
    layer: Layer
    part: int | None


@dataclass
class Index:
    """Finds what a name means, dotted or with underscores for dots, in either naming."""

    layers: tuple[Layer, ...]
    _entries: dict[str, list[_Entry]] = field(default_factory=dict[str, list[_Entry]], init=False)

    def __post_init__(self) -> None:
        for layer in self.layers:
            for number, name in enumerate(layer.parts):
                self._add(name, layer, number)
            if layer.parts != (layer.original,):
                self._add(layer.original, layer, None)

    def _add(self, template: str, layer: Layer, part: int | None) -> None:
        for name in {template, template.replace(".", "_")}:
            pattern = re.compile(re.escape(name).replace(r"\{i\}", r"(0|[1-9]\d{0,3})"))
            self._entries.setdefault(_DIGITS.sub("#", name), []).append(_Entry(pattern, layer, part))

    def find(self, name: str) -> Found | None:
        """Raises ValueError when the name may mean two layers: the family's table is wrong then."""
        found = [
            Found(entry.layer, (match.groups() or ("",))[0], entry.part)
            for entry in self._entries.get(_DIGITS.sub("#", name), [])
            if (match := entry.pattern.fullmatch(name))
        ]
        if len(found) > 1:
            raise ValueError(f"'{name}' may mean {found[0].layer} and {found[1].layer}")
        return found[0] if found else None


def table(text: str) -> tuple[Layer, ...]:
    """Layers from lines such as

        double_blocks.{i} = transformer_blocks.{i}:       place of what follows: original = diffusers
        img_attn.qkv = attn.to_q attn.to_k attn.to_v      original layer = its parts in diffusers, top rows first
        linear1 = attn.to_q attn.to_k attn.to_v mlp*4     one part is four times as high as the others
        norm.1 ~ norm_out.linear                          the halves of the rows stand in the other order
        proj_in proj_out                                  layers that are called alike

    `place:` is one that is called alike, and `:` alone is the whole network.
    """
    found: list[Layer] = []
    original = diffusers = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        left, sign, right = line.removesuffix(":").partition(" ~ " if " ~ " in line else " = ")
        if line.endswith(":"):
            original, diffusers = (f"{name}." if name else "" for name in (left, right or left))
        elif not sign:
            found += [Layer((diffusers + name,), original + name) for name in left.split()]
        else:
            parts = [part.partition("*") for part in right.split()]
            shares = tuple(int(share or 1) for _, _, share in parts)
            names = tuple(diffusers + name for name, _, _ in parts)
            found.append(Layer(names, original + left, shares, sign == " ~ "))
    return tuple(found)


CLIP = Index(
    table("""
        text_model.encoder.layers.{i}:
        self_attn.q_proj self_attn.k_proj self_attn.v_proj self_attn.out_proj mlp.fc1 mlp.fc2
        :
        text_projection
    """)
)
