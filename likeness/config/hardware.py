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
    quantize: Literal["none", "int8", "fp8", "nf4", "int4"] = Field(
        default="none",
        description="How the frozen base's blocks are stored: 'int8' and 'fp8' take half the memory of bf16, 'nf4' and "
        "'int4' a quarter, at some loss. The LoRA works on the unquantised base as well.",
    )
    checkpointing: Literal["none", "blocks", "all"] = Field(
        default="none",
        description="'blocks': compute each block's activations twice to save memory, in two fifths more time; 'all': "
        "keep what is left of them in main memory besides.",
    )
    offload: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of the base's blocks that wait in main memory until they are needed. Needs checkpointing.",
    )
    attention: Literal["auto", "native", "math", "flash", "efficient", "cudnn"] = Field(
        default="auto", description="Attention kernel while training; 'native': whichever torch picks."
    )
    compile: bool = Field(
        default=False, description="Compile the base's blocks: a slow first step per image size, faster ones after."
    )
    threads: int | None = Field(
        default=None, ge=1, le=1024, description="CPU threads. Unset: as many as the machine offers."
    )
