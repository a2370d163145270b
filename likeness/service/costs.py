"""What a run will cost before it starts: time, memory, disk, and whether it fits on this machine.

Every figure says where it comes from. What was measured in earlier runs comes first; what is computed from sizes is a
range; what is not known is left out.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from likeness.catalog import Card
from likeness.catalog.sizes import Size, at, size_of
from likeness.catalog.source import cached_snapshot
from likeness.config.hardware import HardwareConfig
from likeness.config.plan import Suggestion
from likeness.config.run import RunConfig
from likeness.dataset.manifest import Example
from likeness.service.machine import Device, Machine
from likeness.service.runs import Prepared

Fits = Literal["yes", "tight", "no", "unknown"]
UNKNOWN = "not known until the first steps"
PROCESS = 0.8e9  # bytes: libraries, and what a device needs for itself
CHECKPOINTING = 1.43  # times as long: the forward pass is done twice
PRESERVING = 2.3  # times as long: a forward pass of the base, then another step
SHARE = (0.1, 0.55)  # of the speed of matrix products that a training step reaches
BYTES = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0}  # of a weight
QUANTIZED = {"int8": 1.02, "fp8": 1.02, "nf4": 0.56, "int4": 0.56}  # of the denoiser's, with what stays as it was
OPTIMIZER = {"adamw": 8, "adamw8bit": 2, "prodigy": 16, "adafactor": 1, "lion": 4}  # bytes of state for a number
SAME_RUN, SCALED_RUN = 0.15, 0.4  # how far off a figure from an earlier run may be
SLOWEST = 60.0  # seconds a step; a base that takes longer is of no use on a machine
ROOM = 0.92  # of a device's memory that a run can have
PIXEL = 1.7  # bytes of a test picture in PNG


@dataclass(frozen=True)
class Figure:
    """From `low` to `high`; both None where nothing is known. `source` says where it comes from."""

    low: float | None
    high: float | None
    source: str


@dataclass(frozen=True)
class Cost:
    """Times are seconds, the others bytes. `fits`: 'tight' where it may fail; `fixes` are settings that would help."""

    steps: int
    time: Figure
    memory: Figure
    disk: Figure
    download: Figure
    device: Device
    fits: Fits
    why: str
    fixes: tuple[Suggestion, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What an earlier run of this workspace needed. `settings` are those of its `hardware` and `train` that matter."""

    run: str
    base: str  # location of its Card
    device: str  # 'cpu', 'cuda:0' … as torch calls it
    kind: str
    side: int  # pixels, the largest that was trained
    batch: int
    rank: int
    optimizer: str
    precision: str  # that it computed in
    quantize: str
    checkpointing: str
    offload: float
    preserves: bool
    images_per_second: float
    memory_bytes: int
    pictures_seconds: float | None  # that the results of an epoch took, for each test picture
    start_seconds: float | None  # before the first step


def estimate(prepared: Prepared, machine: Machine, earlier: Sequence[Measured] = ()) -> Cost:
    """The cost of a run that passed its checks. Pure, but for a look at files of the base that are here."""
    config, card, plan = prepared.config, prepared.loaded.card, prepared.plan
    device = _device(config.hardware, machine)
    size = size_of(card)
    alike = [m for m in earlier if m.base == card.location and _type(m.device) == _type(device.name)]
    memory = _memory(config, card, size, device, alike)
    disk = _disk(config, card, size, prepared.examples)
    download = _download(card)
    fits, why = _fit(memory, disk, download, device, machine)
    fixes = tuple(_fixes(config, card, size, device)) if fits in ("no", "tight") and memory.low else ()
    time = _time(config, card, size, device, plan.examples_per_epoch * plan.epochs, alike)
    return Cost(plan.steps, time, memory, disk, download, device, fits, why, fixes)


def fit_of(card: Card, machine: Machine, earlier: Sequence[Measured] = ()) -> tuple[Fits, str, tuple[str, ...]]:
    """Whether a base can be trained here with one picture at a time at its own resolution, why, and with which
    settings, such as 'hardware.checkpointing: blocks'."""
    config = RunConfig.model_validate({"name": "x", "base": card.name, "data": {"datasets": [{"path": "x"}]}})
    device, size = machine.devices[0], size_of(card)
    alike = [m for m in earlier if m.base == card.location and _type(m.device) == _type(device.name)]
    fits, why = _fit(_memory(config, card, size, device, alike), Figure(0, 0, ""), _download(card), device, machine)
    if size and size.operations and device.flops and not alike:
        seconds = size.operations / (device.flops * math.sqrt(SHARE[0] * SHARE[1]))
        if seconds > SLOWEST:
            return "no", f"one picture would take some {seconds / 60:.0f} minutes a step on {device.title}", ()
    found = list(_fixes(config, card, size, device)) if fits in ("tight", "no") else []
    if not found:
        return fits, why, ()
    settings = tuple(f"{fix.field}: {fix.value}" for fix in found)
    return "tight", f"fits on {device.title} with {', '.join(settings)}", settings


# --- time


def _time(
    config: RunConfig, card: Card, size: Size | None, device: Device, examples: int, alike: Sequence[Measured]
) -> Figure:
    """Seconds of all steps and of the pictures that are drawn on the way."""
    drawn = _pictures(config)
    if found := _nearest(config, card, device, alike):
        same = _same(found, config, card, device)
        factor = _ratio(config, card, found)
        spread = SAME_RUN if same else SCALED_RUN
        training = examples / found.images_per_second * factor
        pictures = drawn * (found.pictures_seconds or 0) + (found.start_seconds or 0)
        told = f"as fast as run {found.run}" if same else f"from the speed of run {found.run}, with other settings"
        return Figure((training + pictures) * (1 - spread), (training + pictures) * (1 + spread), told)
    one = _operations(config, card, size)
    if one is None or not device.flops:
        return Figure(None, None, UNKNOWN)
    work = one * examples
    if config.hardware.checkpointing != "none":
        work *= CHECKPOINTING
    if config.preserve.weight:
        work *= PRESERVING
    passes = 1 if card.guidance_off is None or card.guidance == card.guidance_off else 2
    work += drawn * (config.sampling.steps or card.steps) * passes * one / 2.3  # a step is some 2.3 forward passes
    source = (
        f"rough: {one / 1e12:.3g} teraflop an example, {device.title} makes {device.flops / 1e12:.3g} a second at best"
    )
    return Figure(work / (device.flops * SHARE[1]), work / (device.flops * SHARE[0]), source)


def _nearest(config: RunConfig, card: Card, device: Device, alike: Sequence[Measured]) -> Measured | None:
    """The latest run with the same settings, else the latest that is least unlike."""
    ranked = sorted(alike, key=lambda m: len(_differences(m, config, card, device)))
    return next((m for m in ranked if m.images_per_second > 0), None)


def _same(found: Measured, config: RunConfig, card: Card, device: Device) -> bool:
    return not _differences(found, config, card, device)


def _differences(m: Measured, config: RunConfig, card: Card, device: Device) -> list[str]:
    """What an earlier run did otherwise, of all that changes its speed or memory."""
    hardware = config.hardware
    now: dict[str, Any] = {
        "kind": config.kind == "edit",
        "side": _side(config, card),
        "batch": config.train.batch_size,
        "rank": config.lora.rank,
        "optimizer": config.optim.optimizer,
        "precision": _precision(hardware, device),
        "quantize": hardware.quantize,
        "checkpointing": hardware.checkpointing,
        "offload": hardware.offload,
        "preserves": config.preserve.weight > 0,
    }
    then: dict[str, Any] = {name: getattr(m, name) for name in now} | {"kind": m.kind == "edit"}
    return [name for name, value in now.items() if then[name] != value]


def _ratio(config: RunConfig, card: Card, found: Measured) -> float:
    """How much longer an example takes than in an earlier run."""
    factor = (_side(config, card) / found.side) ** 2
    checkpointed = config.hardware.checkpointing != "none"
    if checkpointed != (found.checkpointing != "none"):
        factor *= CHECKPOINTING if checkpointed else 1 / CHECKPOINTING
    if (config.preserve.weight > 0) != found.preserves:
        factor *= PRESERVING if config.preserve.weight else 1 / PRESERVING
    if (config.kind == "edit") != (found.kind == "edit"):
        factor *= 2.3 if config.kind == "edit" else 1 / 2.3
    return factor


def _operations(config: RunConfig, card: Card, size: Size | None) -> float | None:
    """Floating point operations of an example's step, without recomputing."""
    if size is None:
        return None
    scaled = at(size, (_side(config, card) / card.resolution) ** 2)
    return scaled.operations_source if config.kind == "edit" else scaled.operations


def _pictures(config: RunConfig) -> int:
    """Test pictures that are drawn during the run, with those for the scorecard and of the untrained base."""
    sampling, train = config.sampling, config.train
    if not sampling.prompts or not train.sample_every:
        return 0
    times = math.ceil(train.epochs / train.sample_every) + 1
    return times * len(sampling.prompts) * (config.scorecard.seeds if config.scorecard.enabled else 1)


# --- memory


def _memory(config: RunConfig, card: Card, size: Size | None, device: Device, alike: Sequence[Measured]) -> Figure:
    """Peak bytes on the device; on a CPU, of the process."""
    if same := next((m for m in alike if not _differences(m, config, card, device)), None):
        return Figure(same.memory_bytes * 0.95, same.memory_bytes * 1.05, f"measured in run {same.run}")
    if size is None:
        return Figure(None, None, UNKNOWN)
    weights = _weights(config.hardware, size, device)
    kept = _kept(config, card, size, device)
    lora = trained(config, size)
    if kept is None or lora is None or size.text is None:
        return Figure(weights + PROCESS, None, "the base's weights alone; what the steps keep is not known")
    training = weights + kept + lora * (8 + OPTIMIZER[config.optim.optimizer])
    encoding = weights + size.text + size.vae
    peak = max(training, encoding) + PROCESS
    return Figure(peak * 0.85, peak * 1.2, "computed from the sizes of the base; not measured here")


def _weights(hardware: HardwareConfig, size: Size, device: Device) -> float:
    """Bytes of the frozen denoiser on the device."""
    plain = BYTES[_precision(hardware, device)]
    held = plain if hardware.quantize == "none" else QUANTIZED[hardware.quantize]
    return size.parameters * held * (1 - 0.95 * hardware.offload)


def _kept(config: RunConfig, card: Card, size: Size, device: Device) -> float | None:
    """Bytes that a forward pass leaves for the backward pass."""
    scaled = at(size, (_side(config, card) / card.resolution) ** 2)
    whole = scaled.kept_source if config.kind == "edit" and scaled.kept_source else scaled.kept
    if whole is None:
        return None
    if config.hardware.checkpointing != "none":
        one = 1.5 * whole / (size.blocks or 8)  # blocks differ in size
        inputs = (scaled.tokens or 0) * (size.width or 0) * 2 * (size.blocks or 0)
        whole = one + (inputs if config.hardware.checkpointing == "blocks" else 0)
    return whole * config.train.batch_size * (BYTES[_precision(config.hardware, device)] / 2)


def trained(config: RunConfig, size: Size) -> float | None:
    """How many numbers the LoRA has; None where the base's layers or the targets are not known. An upper limit for
    'lokr'."""
    per_rank = {"attention": size.attention, "all": size.all}.get(config.lora.targets)
    if per_rank is None:
        return None
    return per_rank * config.lora.rank * (2 if config.lora.type == "loha" else 1)


# --- disk


def _disk(config: RunConfig, card: Card, size: Size | None, examples: Sequence[Example]) -> Figure:
    """Bytes that the run folder will take."""
    train = config.train
    side = _side(config, card)
    pictures = _pictures(config) * PIXEL * (config.sampling.width or card.resolution) * (
        config.sampling.height or card.resolution)  # fmt: skip
    lora = trained(config, size) if size else None
    if size is None or lora is None:
        return Figure(pictures, None, "pictures alone; the size of the LoRA is not known")
    files = train.keep_best + 1 if train.keep_best else math.ceil(train.epochs / train.save_every)
    states = 2 * lora * (4 + OPTIMIZER[config.optim.optimizer])
    augment, captions = config.data.augment, config.data.captions
    ways = augment.variations if augment.random != type(augment.random)() else 1
    texts = captions.variations if captions.shuffle or captions.drop or captions.caps else 1
    latents = at(size, (side / card.resolution) ** 2).latent * ways * (2 if config.kind == "edit" else 1)
    cache = len(examples) * (latents + size.caption * texts)
    total = files * lora * 2 + states + cache + pictures
    return Figure(
        total * 0.7, total * 1.5, f"{files} LoRA files of {lora * 2 / 1e6:.3g} MB, states, cache and pictures"
    )


def _download(card: Card) -> Figure:
    """Bytes that are fetched before the training."""
    if card.path is not None or card.source.checkpoint is not None or card.repository is None:
        return Figure(0, 0, "the base is here")
    if cached_snapshot(card.repository, card.source.revision) is not None:
        return Figure(0, 0, "the base has been fetched before, as far as can be seen without asking")
    size = card.download_bytes
    return Figure(size, size, f"from {card.repository}" if size else f"the size of {card.repository} is not known")


# --- whether it fits


def _fit(memory: Figure, disk: Figure, download: Figure, device: Device, machine: Machine) -> tuple[Fits, str]:
    need = (disk.low or 0) + (download.low or 0)
    if need > machine.free_disk_bytes:
        free = machine.free_disk_bytes / 1e9
        return "no", f"needs {need / 1e9:.0f} GB of disk, and {free:.0f} GB are free"
    room = device.memory_bytes * ROOM if device.memory_bytes else None
    if memory.low is None or room is None:
        return "unknown", f"memory: {memory.source}"
    told = f"{device.title} has {(device.memory_bytes or 0) / 1e9:.0f} GB"
    if memory.low > room:
        return "no", f"needs at least {memory.low / 1e9:.3g} GB of memory, and {told}"
    if memory.high is None:
        return "unknown", f"memory: {memory.source}"
    if memory.high > room:
        return "tight", f"needs {memory.low / 1e9:.3g} to {memory.high / 1e9:.3g} GB of memory, and {told}"
    return "yes", f"needs about {memory.high / 1e9:.3g} GB of memory, and {told}"


def _fixes(config: RunConfig, card: Card, size: Size | None, device: Device) -> Iterator[Suggestion]:
    """The first settings with which it fits, those that cost least before the others; none where nothing helps."""
    hardware, batch = config.hardware, config.train.batch_size
    ways: list[dict[str, str]] = [{"checkpointing": "blocks"}]
    if hardware.quantize == "none" and config.lora.type != "dora" and device.kind != "CPU":
        ways += [{"checkpointing": "blocks", "quantize": form} for form in ("int8", "nf4")]
    for way, examples in ((way, examples) for way in ways for examples in dict.fromkeys((batch, 1))):
        changed = {
            "hardware": hardware.model_copy(update=way),
            "train": config.train.model_copy(update={"batch_size": examples}),
        }
        memory = _memory(config.model_copy(update=changed), card, size, device, ())
        if memory.high is None or memory.high > (device.memory_bytes or 0) * ROOM:
            continue
        for name, value in way.items():
            if getattr(hardware, name) != value:
                yield Suggestion(f"hardware.{name}", value, f"then it fits on {device.title}")
        if examples != batch:
            yield Suggestion("train.batch_size", "1", f"then it fits on {device.title}")
            accumulation = batch * config.train.gradient_accumulation
            yield Suggestion("train.gradient_accumulation", str(accumulation), "the same updates as before")
        return


def _device(hardware: HardwareConfig, machine: Machine) -> Device:
    """The device that the run will have."""
    if hardware.device == "cpu" and machine.devices[0].kind != "CPU":
        title, memory = f"this CPU ({machine.cores} cores)", machine.memory_bytes
        return Device("cpu", "CPU", title, memory, bf16=False, flops=None)
    return machine.devices[0]


def _precision(hardware: HardwareConfig, device: Device) -> str:
    """As the worker will choose it."""
    if hardware.precision != "auto":
        return hardware.precision
    return "bf16" if device.bf16 else "fp32"


def _side(config: RunConfig, card: Card) -> int:
    return max(config.data.sides(card.resolution))


def _type(device: str) -> str:
    return device.partition(":")[0]
