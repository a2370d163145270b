"""How much memory the training has taken at most."""

import resource
import sys

import torch


def memory_used(device: torch.device) -> int:
    """Peak bytes: of the GPU where there is one, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
