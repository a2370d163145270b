"""What there is to compute with, and which bases can be trained on it."""

from fastapi import APIRouter
from pydantic import Field

from likeness.api.run_shapes import DeviceTold
from likeness.api.shapes import Opened, Told
from likeness.service.costs import Fits
from likeness.service.machine import machine
from likeness.studio import bases

router = APIRouter(tags=["machine"])


class MachineTold(Told):
    devices: list[DeviceTold]
    cores: int
    threads: int
    memory_bytes: int | None
    free_disk_bytes: int
    problem: str = Field(description="Why torch does not start; empty where it does.")


class BaseTold(Told):
    name: str
    title: str
    family: str
    licence: str
    languages: list[str]
    parameters: str
    good_for: str
    pick: str
    successor: str | None
    resolution: int
    multiple: int
    distilled: bool
    edits: bool = Field(description="Learns from pairs of pictures, and draws from source pictures.")
    max_references: int
    steps: int
    guidance: float
    runs_on: list[str] = Field(description="Other bases on which a LoRA trained here works too.")
    download_bytes: int | None
    here: bool = Field(description="Its files are on this machine, as far as can be seen.")
    speed: str
    fits: Fits
    why: str
    settings: list[str] = Field(description="With which it fits.")


class BasesTold(Told):
    bases: list[BaseTold]


@router.get("/machine")
def get_machine(studio: Opened) -> MachineTold:
    return MachineTold.model_validate(machine(studio.workspace))


@router.get("/bases")
def list_bases(studio: Opened) -> BasesTold:
    """The catalogue, with how each base fits on this machine."""
    return BasesTold(bases=[_told(base) for base in bases.bases(studio)])


def _told(base: bases.Base) -> BaseTold:
    card = base.card
    return BaseTold(
        name=card.name, title=card.title, family=base.family, licence=card.licence, languages=list(card.languages),
        parameters=card.parameters, good_for=card.good_for, pick=card.pick, successor=card.successor,
        resolution=card.resolution, multiple=card.multiple, distilled=card.distilled, edits=card.edits,
        max_references=card.max_references, steps=card.steps, guidance=card.guidance, runs_on=list(card.runs_on),
        download_bytes=card.download_bytes, here=base.here, speed=base.speed, fits=base.fits, why=base.why,
        settings=list(base.settings),
    )  # fmt: skip
