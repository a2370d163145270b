"""How to use what a run made: a script for stock diffusers and a command, with the run's own settings."""

import shlex
from typing import Any, cast

from likeness.report.history import History, Prompt, mapping

_DTYPES = {"bf16": "torch.bfloat16", "fp16": "torch.float16"}


def diffusers_script(history: History) -> str:
    """A Python script that repeats a test prompt with the latest checkpoint, run from the run folder."""
    base = mapping(history.run_json.get("base"))
    location = str(base.get("location") or history.config("base") or "BASE")
    started = history.started
    dtype = next((d for short, d in _DTYPES.items() if started and short in started.precision), "")
    device = next((d for d in ("cuda", "mps") if started and started.device.startswith(d)), "")
    prompt = _example(history)
    arguments = [f"prompt={prompt.text!r}"]
    if prompt.reference:
        arguments.append("image=load_image('before.png')")
    arguments += [f"{name}={value!r}" for name, value in _pipeline_settings(history, prompt)]
    arguments.append(f"generator=torch.Generator().manual_seed({prompt.seed or 0})")
    lines = [
        "import torch",
        "from diffusers import DiffusionPipeline",
        *(["from diffusers.utils import load_image"] if prompt.reference else []),
        "",
        f"pipe = DiffusionPipeline.from_pretrained({location!r}{f', torch_dtype={dtype}' if dtype else ''})",
        *([f"pipe.to({device!r})"] if device else []),
        f"pipe.load_lora_weights('checkpoints', weight_name={_checkpoint(history)!r})",
        "image = pipe(",
        *(f"    {argument}," for argument in arguments),
        ").images[0]",
        "image.save('picture.png')",
    ]
    return "\n".join(lines)


def sample_command(history: History) -> str:
    """The same with `likeness sample`, run from the run folder."""
    prompt = _example(history)
    words = ["likeness", "sample", "--base", str(history.config("base") or "BASE")]
    words += ["--lora", f"checkpoints/{_checkpoint(history)}", "--prompt", prompt.text]
    words += ["--seed", str(prompt.seed or 0)]
    words += ["--reference", "before.png"] if prompt.reference else []
    for name in ("width", "height", "steps", "guidance"):
        value = history.config(f"sampling.{name}")
        words += [f"--{name}", str(value)] if value is not None else []
    words += ["--precision", history.started.precision] if history.started else []
    return shlex.join(words)


def _example(history: History) -> Prompt:
    trigger = str(history.config("trigger") or "a picture")
    return history.prompts[0] if history.prompts else Prompt(1, trigger, 0, None)


def _checkpoint(history: History) -> str:
    return history.checkpoints[max(history.checkpoints)].name if history.checkpoints else "epoch-001.safetensors"


def _pipeline_settings(history: History, prompt: Prompt) -> list[tuple[str, Any]]:
    """The settings that the samples were drawn with, under the names that diffusers gives them.

    What this base's pipeline needs beyond the common ones stands in run.json as `base.pipeline_arguments`.
    """
    listed: Any = history.config("sampling.prompts")
    entries = cast(list[Any], listed) if isinstance(listed, list) else []
    own = mapping(entries[prompt.index - 1]) if prompt.index <= len(entries) else {}
    names = {"width": "width", "height": "height", "steps": "num_inference_steps", "guidance": "guidance_scale"}
    base = mapping(history.run_json.get("base"))
    side = None if prompt.reference else base.get("resolution")  # an edit takes the size of its source
    usual = {"width": side, "height": side}
    found = [
        (theirs, own.get(ours) or history.config(f"sampling.{ours}") or usual.get(ours))
        for ours, theirs in names.items()
    ]
    negative = own.get("negative_prompt") or history.config("sampling.negative_prompt")
    found += [("negative_prompt", negative)] if negative else []
    found += mapping(base.get("pipeline_arguments")).items()
    return [(name, value) for name, value in found if value is not None]
