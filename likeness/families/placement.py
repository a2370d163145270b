"""Which device and number format to compute in."""

import torch

from likeness.config.hardware import HardwareConfig
from likeness.errors import InputError
from likeness.families.base import Placement

CUDA_ATTENTION = ("flash", "efficient", "cudnn")
HALF_ATTENTION = ("flash", "cudnn")
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_placement(hardware: HardwareConfig) -> Placement:
    """The device and base precision asked for, or the best there is.

    Raises InputError when the device is not there or cannot compute in the precision.
    """
    device = torch.device(_best_device() if hardware.device == "auto" else hardware.device)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"hardware.device: '{hardware.device}' is not there; {torch.cuda.device_count()} CUDA or ROCm devices are. "
            "Fix: use 'auto' or 'cpu'"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise InputError("hardware.device: 'mps' is not there (it needs an Apple GPU). Fix: use 'auto' or 'cpu'")
    if device.type != "cuda" and hardware.attention in CUDA_ATTENTION:
        raise InputError(f"hardware.attention: '{hardware.attention}' needs a CUDA device. Fix: use 'auto' or 'math'")
    if device.type == "cpu" and hardware.offload:
        raise InputError("hardware.offload: a CPU has no other memory to keep blocks in. Fix: leave it out")
    if device.type == "cpu" and hardware.precision == "fp16":
        raise InputError("hardware.precision: 'fp16' is too slow on a CPU to be of use. Fix: use 'bf16' or 'fp32'")
    dtype = best_dtype(device) if hardware.precision == "auto" else _DTYPES[hardware.precision]
    if dtype == torch.float32 and hardware.attention in HALF_ATTENTION:
        raise InputError(
            f"hardware.attention: '{hardware.attention}' computes in bf16 or fp16 alone. Fix: use another one, or "
            "hardware.precision: bf16"
        )
    return Placement(device, dtype, quantize=hardware.quantize, offload=hardware.offload, attention=hardware.attention)


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def best_dtype(device: torch.device) -> torch.dtype:
    """bf16 where the hardware multiplies it, else fp32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device.type == "cpu":
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # pyright: ignore[reportPrivateUsage]
        return torch.bfloat16 if native else torch.float32
    return torch.bfloat16


def precision_name(dtype: torch.dtype) -> str:
    return next(name for name, value in _DTYPES.items() if value == dtype)


def release_unused(device: torch.device) -> None:
    """Give memory that nothing holds any more back to the device, for others to take."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def set_up_torch(placement: Placement, threads: int | None) -> None:
    """Process-wide settings under which the same run gives the same numbers."""
    if threads:
        torch.set_num_threads(threads)
    if placement.device.type == "cuda":
        torch.use_deterministic_algorithms(True, warn_only=True)
