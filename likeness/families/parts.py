"""The parts of a base model - networks, tokenizers, schedulers - loaded from wherever they are."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from torch import nn

from likeness.catalog import Card
from likeness.catalog.detect import SCALES
from likeness.catalog.header import read_headers
from likeness.catalog.source import DENOISERS
from likeness.errors import InputError
from likeness.families.base import Placement
from likeness.families.hub import fetch_now
from likeness.families.identity import folder_identity
from likeness.families.needs import NETWORKS, PIPELINE_INDEXES, read_json, setting_of, variant_in
from likeness.families.weights import network_from

T = TypeVar("T")
Network = TypeVar("Network", bound=nn.Module)


class Parts:
    """One base model's parts by the names that they have in the diffusers layout ('transformer', 'vae', …).

    Raises InputError where the base cannot be fetched from the hub.
    """

    def __init__(self, card: Card, placement: Placement):
        self.card, self.placement = fetch_now(card), placement
        self.folders = self.card.source.folders  # the base's own, then that with the parts it lacks
        self.folder = self.folders[0]

    def network(self, name: str, kind: type[Network], dtype: torch.dtype | None = None) -> Network:
        """A network, frozen, in `dtype` (the placement's unless given), on the placement's device.

        Raises InputError when its files are missing, broken, or of another model.
        """
        dtype = dtype or self.placement.dtype
        try:
            found = self._load(name, kind, dtype)
        except _UNREADABLE as e:
            raise self._broken(name, e) from e
        # A denoiser that has to be made to fit first is moved afterwards (see `memory.arrange`).
        waits = name in DENOISERS and (self.placement.quantize != "none" or self.placement.offload > 0)
        return (found if waits else found.to(self.placement.device)).requires_grad_(False).eval()

    def _load(self, name: str, kind: type[Network], dtype: torch.dtype) -> Network:
        place, home, allowed = self._given(name) or self._home(name), self._home(name), self.card.source.allow_pickle
        if place.is_file():
            return network_from(place, kind, home, name, dtype, allow_pickle=allowed)
        if any(tensor.endswith(SCALES) for tensor in read_headers(place)):  # loaders would leave them aside
            return network_from(place, kind, place, name, dtype, allow_pickle=allowed)
        load: Any = kind.from_pretrained  # pyright: ignore[reportAttributeAccessIssue]
        how = {"dtype": dtype, "variant": variant_in(place)}
        return load(place, use_safetensors=None if allowed else True, **how)

    def vae(self, kind: type[Network]) -> Network:
        """The VAE, in fp32: it is small, its rounding would be in every latent, and SDXL's overflows in fp16.

        Raises InputError as `network` does.
        """
        return self.network("vae", kind, torch.float32)

    def other(self, name: str, kind: type[T]) -> T:
        """A tokenizer, processor or scheduler. Raises InputError when its files are missing or broken."""
        load: Any = kind.from_pretrained  # pyright: ignore[reportAttributeAccessIssue]
        try:
            return load(self._home(name), **(self._told() if name == "scheduler" else {}))
        except _UNREADABLE as e:
            raise self._broken(name, e) from e

    def index(self) -> Mapping[str, Any]:
        """What the base's model_index.json says of its parts and settings; nothing where it has none.

        Raises InputError when the file is broken.
        """
        places = (folder / name for folder in self.folders for name in PIPELINE_INDEXES)
        return next((read_json(place) for place in places if place.is_file()), {})

    def identity(self, *names: str, settings: object = None) -> str:
        """A fingerprint of these parts' files and of `settings`."""
        places = [place for name in names for place in (self._given(name), self._home(name)) if place is not None]
        digests = [folder_identity(place) for place in places]
        return hashlib.sha256(repr((digests, settings)).encode()).hexdigest()

    def _given(self, name: str) -> Path | None:
        """The user's own folder or file of a network."""
        parts = dict(self.card.source.parts)
        whole = self.card.source.checkpoint if name in NETWORKS else None
        return parts.get(setting_of(name), whole)

    def _home(self, name: str) -> Path:
        """The folder of the base's own part, or at least of its configuration."""
        return next((folder / name for folder in self.folders if (folder / name).is_dir()), self.folder / name)

    def _told(self) -> dict[str, Any]:
        """What a checkpoint of Stable Diffusion says of its noise schedule, in the names of tensors without content."""
        place = self._given("unet")
        names = read_headers(place) if place is not None else {}
        velocity = {"prediction_type": "v_prediction"} if "v_pred" in names else {}
        return velocity | ({"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"} if "ztsnr" in names else {})

    def _broken(self, name: str, error: Exception) -> InputError:
        place = self._given(name) or self._home(name)
        return InputError(
            f"base '{self.card.name}': {name} cannot be loaded from {place} ({error}). Fix: restore its files"
        )


_UNREADABLE = (OSError, ValueError, KeyError, SafetensorError)
