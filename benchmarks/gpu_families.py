"""Speed and memory of a training step of full-size families, random weights: `python -m benchmarks.gpu_families`.

Needs a GPU, torch and diffusers, and no download: the transformer is built from its published size and filled with
random numbers; text conditions and latents are random too. Everything else - prediction, LoRA, quantising,
checkpointing, offload - is the product's own code. Each way of training runs in a process of its own, so that one that
does not fit costs its row alone. Prints a table in Markdown and, with `--output`, writes JSON lines as it goes.

    python -m benchmarks.gpu_families --case klein-4b --case z-image --way bf16 --way bf16+blocks
    python -m benchmarks.gpu_families --list
    python -m benchmarks.gpu_families --tiny --device cpu      that the script itself works, on tiny transformers
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RANK, WARM_UP = 16, 3
PEAK_FLOPS = 790e12  # bf16 matrix products of an H200, measured on large squares


@dataclass(frozen=True)
class Case:
    """A base at its published size, with one picture of 1024 x 1024."""

    card: str
    condition: tuple[int, ...]  # shape of the text embeddings
    latents: tuple[int, int, int]
    tera: tuple[float, float]  # floating point operations of a step in units of 1e12, without and with checkpointing
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])  # of the transformer, where not its defaults
    reference: bool = False


def _flux2(double: int, single: int, heads: int, text: int, dev: bool = False) -> dict[str, Any]:
    return {
        "num_layers": double, "num_single_layers": single, "num_attention_heads": heads, "joint_attention_dim": text,
        "guidance_embeds": dev,
    }  # fmt: skip


# Operations: 2 x linear + 3.5 x attention, and one forward pass more with checkpointing, counted on the meta device.
CASES = {
    "klein-4b": Case("flux2-klein-base-4b", (512, 7680), (128, 64, 64), (79, 114), _flux2(5, 20, 24, 7680)),
    "klein-4b-edit": Case(
        "flux2-klein-base-4b", (512, 7680), (128, 64, 64), (188, 265), _flux2(5, 20, 24, 7680), reference=True
    ),
    "z-image": Case("z-image", (256, 2560), (16, 128, 128), (131, 190)),
    "qwen-image": Case("qwen-image", (256, 3584), (16, 128, 128), (167, 240)),
    "klein-9b": Case("flux2-klein-base-9b", (512, 12288), (128, 64, 64), (168, 243), _flux2(8, 24, 32, 12288)),
    "flux2-dev": Case("flux2-dev", (512, 15360), (128, 64, 64), (609, 892), _flux2(8, 48, 48, 15360, dev=True)),
}
WAYS = (
    "bf16", "bf16+blocks", "bf16+blocks+compile", "fp8+blocks", "int8+blocks", "nf4+blocks", "fp8+blocks+compile",
    "bf16+all", "bf16+blocks+offload",
)  # fmt: skip


def measure(name: str, way: str, device: str, steps: int, tiny: bool) -> dict[str, Any]:
    """One row: milliseconds a step, peak memory, share of the peak. Raises torch.OutOfMemoryError if too large."""
    import torch

    from likeness.catalog import CARDS, resolve_base
    from likeness.families import Placement, memory, open_family
    from likeness.families.placement import set_up_torch
    from likeness.lora import inject as lora
    from likeness.lora.kinds import Size
    from likeness.lora.targets import Targets, choose_layers
    from likeness.train.loader import Batch
    from likeness.train.step import losses_at
    from tests.contract.conftest import bases_of

    case, options = CASES[name], way.split("+")
    form = "none" if options[0] == "bf16" else options[0]
    checkpointing = next((o for o in options if o in ("blocks", "all")), "none")
    place = torch.device(device)
    set_up_torch(Placement(place, torch.bfloat16), None)
    torch.use_deterministic_algorithms(False)
    with tempfile.TemporaryDirectory() as folder:
        bases_of(CARDS[case.card]).make(CARDS[case.card], Path(folder) / "base")
        placement = Placement(
            place,
            torch.bfloat16,
            quantize=form if tiny else "none",
            offload=0.5 if tiny and "offload" in options else 0,
        )
        family: Any = open_family(resolve_base(str(Path(folder) / "base")), placement)
        conditions = family.encode_text(["a picture"])
    latents, shape = case.latents, tuple(case.condition)
    if tiny:
        latents = tuple(family.encode_images(torch.zeros(1, 3, 64, 64)).shape[1:])
    else:
        kept = placement.__class__(place, torch.bfloat16, quantize=form, offload=0.5 if "offload" in options else 0)
        family.placement = kept
        network = _full_size(type(family.networks["transformer"]), case.arguments, place)
        family._transformer = family._pipeline.transformer = network
        memory.arrange(family)
        conditions = [{**c, "embeds": torch.randn(shape)} for c in conditions]
    family.release_encoders()
    layers = choose_layers(family.networks, Targets(family.lora_targets("attention"), Size(RANK, RANK)))
    lora.inject(family.networks, layers, "lora", dropout=0, seed=0)
    denoiser = family.networks["transformer"].train()
    memory.prepare_training(denoiser, family.blocks, checkpointing, "compile" in options)
    weights = list(lora.trainable(family.networks).values())
    optimizer = torch.optim.AdamW(weights, lr=1e-4)
    x0, noise = torch.randn(1, *latents), torch.randn(1, *latents)
    batch = Batch(x0, [x0] if case.reference else [], conditions)
    seconds: list[float] = []
    with memory.attention_for(family.placement), memory.kept_activations(checkpointing, place):
        for step in range(WARM_UP + steps):
            if step == WARM_UP and place.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            began = time.monotonic()
            losses_at(family, batch, torch.tensor([0.5]), noise).mean().backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if place.type == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.monotonic() - began)
    fastest = min(seconds[WARM_UP:])
    operations = case.tera[checkpointing != "none"] * 1e12
    peak = torch.cuda.max_memory_allocated() if place.type == "cuda" else 0
    return {
        "case": name, "way": way, "ms": round(fastest * 1e3, 1),
        "ms_all": [round(s * 1e3, 1) for s in seconds[WARM_UP:]],
        "first_ms": round(seconds[0] * 1e3), "peak_gb": round(peak / 1e9, 1),
        "share_of_peak": None if tiny else round(operations / fastest / PEAK_FLOPS, 3),
        "trained": sum(w.numel() for w in weights),
        "device": torch.cuda.get_device_name(place) if place.type == "cuda" else str(place), "torch": torch.__version__,
    }  # fmt: skip


def _full_size(kind: Any, arguments: Mapping[str, Any], device: Any) -> Any:
    """A network with random weights, made where it is needed: it would not fit into main memory twice."""
    import torch

    with torch.device("meta"):
        network = kind(**arguments).to(torch.bfloat16)
    network = network.to_empty(device=device).requires_grad_(False).eval()
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.is_floating_point():
            tensor.data.normal_(std=0.02)
    return network


def _row(result: Mapping[str, Any]) -> str:
    if "error" in result:
        return f"| {result['case']} | {result['way']} | {result['error']} | | | |"
    share = f"{result['share_of_peak']:.0%}" if result["share_of_peak"] is not None else ""
    cells = (result["case"], result["way"], result["ms"], result["peak_gb"], share, result["first_ms"])
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", choices=list(CASES), help="may be repeated; all by default")
    parser.add_argument("--way", action="append", choices=WAYS, help="may be repeated; all by default")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="tiny transformers: tries the script, measures nothing")
    parser.add_argument("--output", type=Path, help="JSON lines are appended here")
    parser.add_argument("--timeout", type=float, default=240, help="seconds for one row")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("CASE", "WAY"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.list:
        print("cases:", *CASES, "\nways:", *WAYS)
        return
    if args.one:
        print(json.dumps(measure(*args.one, args.device, args.steps, args.tiny)))
        return
    print("| base | way | ms a step | peak GB | of the peak | first step ms |\n|---|---|---|---|---|---|")
    for name in args.case or CASES:
        for way in args.way or WAYS:
            result = _in_its_own_process(name, way, args)
            print(_row(result), flush=True)
            if args.output:
                with args.output.open("a") as f:
                    f.write(json.dumps(result) + "\n")


def _in_its_own_process(name: str, way: str, args: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.gpu_families", "--one", name, way, "--device", args.device]
    command += ["--steps", str(args.steps), *(["--tiny"] if args.tiny else [])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=args.timeout)
    except subprocess.TimeoutExpired:
        return {"case": name, "way": way, "error": f"not done after {args.timeout:g} s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"case": name, "way": way, "error": "does not fit" if "OutOfMemory" in last else last[:120]}
    return json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
