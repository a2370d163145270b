"""What a run computes on."""

from typing import Literal

from pydantic import BaseModel, Field

from likeness.config.section import SECTION


class HardwareConfig(BaseModel):
    """Device, number format and memory. ROCm devices are called 'cuda', as torch calls them."""

    model_config = SECTION

    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d{1,3})?)$",
        description="'auto', 'cpu', 'cuda' (ROCm too), 'cuda:1' or 'mps'.",
        json_schema_extra={"form": "'auto', 'cpu', 'cuda', a numbered one such as 'cuda:1', or 'mps'"},
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto", description="Number format of the frozen base; the LoRA itself is always trained in fp32."
    )
    gradient_checkpointing: bool = Field(
        default=False, description="Compute activations twice to save memory; a third slower."
    )
    threads: int | None = Field(
        default=None, ge=1, le=1024, description="CPU threads. Unset: as many as the machine offers."
    )
