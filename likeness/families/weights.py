"""Networks from files of weights in the layouts of other programs: ComfyUI's, the model makers' and diffusers' own."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, AutoencoderKLFlux2, AutoencoderKLQwenImage, ModelMixin
from diffusers.loaders import single_file_utils
from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoConfig

from likeness.catalog.detect import PREFIXES, SCALES, without_prefix
from likeness.catalog.header import SAFETENSORS
from likeness.errors import InputError

Network = TypeVar("Network", bound=nn.Module)
Weights = dict[str, Tensor]

_ASIDE = (".input_scale", ".scale_input", ".comfy_quant")  # for computing in fp8, which is not done here
_MARKERS = ("scaled_fp8", "v_pred", "ztsnr", "edm_mean", "edm_std")  # tensors that only say something of the file
_FIRST_CLIP = ("cond_stage_model.transformer.", "conditioner.embedders.0.transformer.")
_SECOND_CLIP = "conditioner.embedders.1.model."


def network_from(
    place: Path, kind: type[Network], config: Path, part: str, dtype: torch.dtype, *, allow_pickle: bool
) -> Network:
    """A network from a file, or from all safetensors files of a folder; `config`: the folder with its config.json;
    `part`: its name in the diffusers layout. Of a file that holds more than this network, the rest is left aside.

    Raises InputError where weights are missing, are too many, or have other sizes than the configuration says.
    """
    weights = plain_numbers(read_weights(place, allow_pickle=allow_pickle), dtype)
    if issubclass(kind, ModelMixin):
        return _diffusers_network(place, kind, config, weights, dtype)
    return _text_encoder(place, kind, config, part, weights, dtype)


def read_weights(place: Path, *, allow_pickle: bool = False) -> Weights:
    """The tensors of a safetensors file, of all those in a folder, or, where allowed, of a pickle.

    Raises InputError for a pickle that holds anything but tensors and plain values.
    """
    if place.is_dir():
        return {name: t for path in sorted(place.glob(f"*{SAFETENSORS}")) for name, t in load_file(path).items()}
    if place.suffix.lower() == SAFETENSORS:
        return load_file(place)
    if not allow_pickle:
        raise InputError(f"{place}: is a pickle. Fix: set model.allow_pickle: true if you trust where it comes from")
    try:
        found: Any = torch.load(place, map_location="cpu", weights_only=True, mmap=True)
    except Exception as e:  # unpickling fails in every way there is
        raise InputError(
            f"{place}: holds more than tensors, or is damaged ({str(e).splitlines()[0]}). Fix: take the model's "
            ".safetensors"
        ) from e
    while isinstance(found, dict) and isinstance(found.get("state_dict"), dict):  # pyright: ignore[reportUnknownMemberType]
        found = found["state_dict"]  # pyright: ignore[reportUnknownVariableType]
    return {str(name): value for name, value in found.items() if isinstance(value, Tensor)}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType, reportUnknownMemberType]


def plain_numbers(weights: Weights, dtype: torch.dtype) -> Weights:
    """Weights in fp8 as numbers of `dtype`: those with a scale beside them, one for all or one per row (output), times
    their scale. Nothing else is changed. Raises InputError for a scale of another form."""
    scales = {name: weights.pop(name) for name in list(weights) if name.endswith(SCALES)}
    for name in list(weights):
        if name.endswith(_ASIDE) or without_prefix(name) in _MARKERS:
            del weights[name]
    for name, scale in scales.items():
        target = next(name.removesuffix(s) + ".weight" for s in SCALES if name.endswith(s))
        weight = weights.get(target)
        if weight is None or scale.numel() not in (1, weight.shape[0]):
            raise InputError(f"{name} fits no weight beside it. Fix: take the file in bf16, fp16 or fp32")
        rows = scale.float().reshape(-1, *[1] * (weight.dim() - 1))  # (1 or out, 1, …)
        weights[target] = (weight.float() * rows).to(dtype)
    small = (torch.float8_e4m3fn, torch.float8_e5m2)
    return {name: w.to(dtype) if w.dtype in small else w for name, w in weights.items()}


def _diffusers_network(place: Path, kind: type[Any], config: Path, weights: Weights, dtype: torch.dtype) -> Any:
    settings: Any = kind.load_config(config)
    with init_empty_weights():
        model: Any = kind.from_config(settings)
    expected: dict[str, Tensor] = model.state_dict()
    plain = {without_prefix(name): w for name, w in weights.items()}
    if problem := _problem(plain, expected):
        # A file of diffusers' own that lacks something should be told by its own names, not by what converting made.
        own = 2 * len(expected.keys() & plain.keys()) > len(expected)
        try:
            plain = _converted(place, kind, settings, weights)
            after = _problem(plain, expected)
            problem = problem if own and after else after
        except InputError:
            if not own:
                raise
    if problem:
        raise _unfit(place, problem)
    held = set(kind._keep_in_fp32_modules or ()) if dtype == torch.float16 else set[str]()
    for name, weight in plain.items():
        if weight.is_floating_point():
            plain[name] = weight.to(torch.float32 if held & set(name.split(".")) else dtype)
    model.load_state_dict(plain, strict=False, assign=True)  # what may be missing are counters of batches
    return model


def _converted(place: Path, kind: type[Any], settings: Any, weights: Weights) -> Weights:
    """The weights by diffusers' names."""
    convert = _converter(kind)
    if convert is None:
        raise InputError(f"{place}: its weights are not named as {kind.__name__} has them. Fix: take diffusers' file")
    try:
        return convert(dict(weights), settings)
    except (KeyError, IndexError, ValueError, RuntimeError, AttributeError, TypeError) as e:
        raise InputError(
            f"{place}: its weights are not those of a {kind.__name__} ({type(e).__name__}: {e}). Fix: check that the "
            "file belongs to this base"
        ) from e


def _converter(kind: type[Any]) -> Callable[[Weights, Any], Weights] | None:
    """From the layout of the model's makers to diffusers'; None where diffusers knows of no other layout."""
    if issubclass(kind, AutoencoderKLFlux2):
        return _flux2_vae
    if issubclass(kind, AutoencoderKL):
        return single_file_utils.convert_ldm_vae_checkpoint  # pyright: ignore[reportUnknownVariableType]
    if issubclass(kind, AutoencoderKLQwenImage):
        return _wan_vae
    if kind.__name__ not in SINGLE_FILE_LOADABLE_CLASSES:
        return None
    mapping: Any = SINGLE_FILE_LOADABLE_CLASSES[kind.__name__]["checkpoint_mapping_fn"]

    def convert(weights: Weights, settings: Any) -> Weights:
        plain = {without_prefix(name): weight for name, weight in weights.items()}
        if kind.__name__ == "UNet2DConditionModel":  # diffusers knows the UNet in a whole checkpoint by the prefix
            whole = any(name.startswith(PREFIXES[0]) for name in weights)
            plain = weights if whole else {PREFIXES[0] + name: weight for name, weight in plain.items()}
        return mapping(checkpoint=plain, config=settings)

    return convert


def _wan_vae(weights: Weights, settings: Any) -> Weights:
    """Qwen-Image's VAE is Wan's, retrained, and its makers' names are the same."""
    return single_file_utils.convert_wan_vae_to_diffusers(weights)  # pyright: ignore[reportUnknownVariableType]


def _flux2_vae(weights: Weights, settings: Any) -> Weights:
    """Black Forest Labs keeps the layers around the latents inside the encoder and the decoder, and the statistics
    that normalise them beside."""
    inside = {"encoder.quant_conv.": "quant_conv.", "decoder.post_quant_conv.": "post_quant_conv."}
    moved: Weights = {}
    for name, weight in weights.items():
        old = next((prefix for prefix in inside if name.startswith(prefix)), "")
        moved[inside[old] + name.removeprefix(old) if old else name] = weight
    statistics = {name: weight for name, weight in moved.items() if name.startswith("bn.")}
    return single_file_utils.convert_ldm_vae_checkpoint(moved, settings) | statistics


def _text_encoder(place: Path, kind: type[Any], config: Path, part: str, weights: Weights, dtype: torch.dtype) -> Any:
    settings: Any = AutoConfig.from_pretrained(config)
    if not isinstance(settings, kind.config_class):  # a text model's own configuration inside a larger one's
        settings = kind.config_class.from_pretrained(config)
    weights = _clip_in_checkpoint(kind, settings, part, weights)
    try:
        model, report = kind.from_pretrained(
            None, config=settings, state_dict=weights, dtype=dtype, output_loading_info=True
        )
    except RuntimeError as e:  # sizes; transformers tells of them in a table
        raise _unfit(place, f"sizes are not those of {config / 'config.json'}") from e
    missing: Collection[str] = report["missing_keys"]
    if missing:
        raise _unfit(place, f"{len(missing)} weights are missing, such as {min(missing)}")
    return model


def _clip_in_checkpoint(kind: type[Any], settings: Any, part: str, weights: Weights) -> Weights:
    """The text encoder inside a whole checkpoint of Stable Diffusion; other weights as they are."""
    if part == "text_encoder_2" and any(name.startswith(_SECOND_CLIP) for name in weights):
        with init_empty_weights():
            model = kind(settings)
        return single_file_utils.convert_open_clip_checkpoint(model, weights, prefix=_SECOND_CLIP)
    for prefix in _FIRST_CLIP:
        if inside := {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}:
            return inside
    return weights


def _problem(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str | None:
    """Why these are not the weights of a network that expects others; integers (counters) may be missing."""
    missing = [name for name, wanted in expected.items() if wanted.is_floating_point() and name not in weights]
    if missing:
        return f"{len(missing)} weights are missing, such as {missing[0]}"
    if unknown := sorted(set(weights) - set(expected)):
        return f"{len(unknown)} weights belong to no layer, such as {unknown[0]}"
    for name, wanted in expected.items():
        if name in weights and weights[name].shape != wanted.shape:
            return f"{name} is of size {tuple(weights[name].shape)} in place of {tuple(wanted.shape)}"
    return None


def _unfit(place: Path, why: str) -> InputError:
    return InputError(f"{place}: does not fit this base: {why}. Fix: check that the file belongs to it")
