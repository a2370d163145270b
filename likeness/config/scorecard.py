"""What is measured of every epoch, to tell which one to take."""

from pydantic import BaseModel, Field

from likeness.config.section import SECTION

SHIPPED_FOR = ("starter",)  # bases whose world the shipped CLIP knows


class ScorecardConfig(BaseModel):
    """Measures of every epoch. They change nothing in what is learned, and may differ when a run goes on."""

    model_config = SECTION

    enabled: bool = Field(default=True, description="Measure every epoch's test pictures and say which epoch to take.")
    encoder: str = Field(
        default="auto",
        min_length=1,
        description="What pictures and prompts are compared by: 'none' (losses and pixels alone), the folder of a "
        "CLIP, SigLIP or DINOv2 model, or a hub repository 'owner/name'. 'auto': the shipped CLIP on the starter, else "
        "none.",
    )
    seeds: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Pictures of each test prompt to measure. The first is the test picture; each further one is drawn "
        "for the scorecard, and takes as long.",
    )
