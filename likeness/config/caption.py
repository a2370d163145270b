"""How captions are written by machines: which engine, what it is asked, and what becomes of its answer."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from likeness.config.crops import ADDRESS, DetailCropsConfig

# The command line hands over text, which becomes the number that it says.
_GROUP = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)

OLLAMA = "http://127.0.0.1:11434"
OPENAI = "https://api.openai.com/v1"


class CaptionConfig(BaseModel):
    """The engine and what it is to write."""

    model_config = _GROUP

    engine: Literal["shipped", "vlm", "tagger", "ollama", "openai"] = Field(
        default="shipped",
        description="Who writes. 'shipped': the small captioner inside, for the starter's world. 'vlm': a vision "
        "language model run here. 'tagger': a WD14 tagger. 'ollama', 'openai': a server.",
    )
    model: str = Field(
        default="",
        description="The engine's model: for 'vlm' and 'tagger' a folder or a hub repository 'owner/name', for servers "
        "the name it has there.",
    )
    kind: Literal["character", "style", "product", "environment", "edit"] = Field(
        default="character",
        description="What will be learned: decides what captions leave unsaid. 'edit' writes instructions; it goes "
        "without saying for a folder of pairs.",
    )
    trigger: str = Field(
        default="", max_length=100, description="The trigger word, which every caption will hold, spelled exactly so."
    )
    traits: Literal["leave-out", "name"] = Field(
        default="leave-out",
        description="What belongs to the thing learned (a character's face and hair, a style's brush): left unsaid, so "
        "that the trigger takes it up, or named.",
    )
    mention: list[str] = Field(default=[], description="What captions should name wherever it can be seen.")
    leave_out: list[str] = Field(default=[], description="Words that captions should not hold, such as 'red hair'.")
    instruction: str = Field(default="", description="More that the engine is asked, after its usual task.")
    prompt: str = Field(
        default="",
        description="What the engine is asked, in place of its usual task; {context} stands for what is known of the "
        "picture. For Florence-2 a task such as `<CAPTION>`.",
    )
    system: str = Field(default="", description="What the engine is told first, in place of its usual words.")
    max_words: int | None = Field(
        default=None, ge=3, le=1000, description="Longest caption in words. Unset: 80, for instructions 30."
    )
    parallel: int = Field(
        default=0,
        ge=0,
        le=256,
        description="Pictures worked on at once: requests under way, or the batch of a model run here; 0: as suits it.",
    )
    picture_side: int = Field(
        default=1024, ge=64, le=8192, description="Longest side in pixels at which pictures are shown to the engine."
    )
    device: str = Field(default="auto", description="Where a model run here computes: auto, cpu, cuda, cuda:1 or mps.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto", description="Number format of a model run here."
    )

    @field_validator("mention", "leave_out", mode="after")
    @classmethod
    def _one_by_one(cls, values: list[str]) -> list[str]:
        """'red hair, freckles' are two."""
        return [part.strip() for value in values for part in value.split(",") if part.strip()]

    @property
    def longest(self) -> int:
        """The longest caption in words."""
        return self.max_words or (30 if self.kind == "edit" else 80)


class ServerConfig(BaseModel):
    """Engines behind HTTP."""

    model_config = _GROUP

    endpoint: str = Field(
        default="",
        description=f"Address of the server. Empty: {OLLAMA} for 'ollama', {OPENAI} for 'openai'.",
    )
    api_key_env: str = Field(
        default="",
        description="Environment variable with the key to send; the key itself is never stored. Empty: OPENAI_API_KEY "
        f"for {OPENAI}, and no key for any other server.",
    )
    timeout: float = Field(default=120.0, gt=0, le=3600, description="Seconds to wait for one whole answer.")
    max_retries: int = Field(default=4, ge=0, le=100, description="Further attempts after a failed one.")
    temperature: float | None = Field(
        default=None, ge=0, le=2, description="Freedom of wording. Unset: the server's own."
    )
    auto_pull: bool = Field(default=False, description="Let Ollama fetch a model that it does not have.")
    keep_alive: str = Field(default="5m", description="How long Ollama keeps the model loaded: 5m, 1h, 0 or -1.")

    @field_validator("endpoint")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if value and not ADDRESS.fullmatch(value):
            raise ValueError("should be an address such as http://127.0.0.1:11434")
        return value

    @field_validator("api_key_env")
    @classmethod
    def _is_name(cls, value: str) -> str:
        """The value is not shown: it may be a key that was given in place of a name."""
        if value and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
            raise ValueError("should be the name of an environment variable, not the key itself")
        return value


class TaggerConfig(BaseModel):
    """WD14 taggers."""

    model_config = _GROUP

    general_threshold: float = Field(default=0.35, ge=0, le=1, description="Least certainty of a tag.")
    character_threshold: float = Field(default=0.85, ge=0, le=1, description="Least certainty of a character's name.")
    exclude_tags: list[str] = Field(default=[], description="Tags that are never written.")
    rating_tags: bool = Field(default=False, description="Also write the tag of the rating.")
    underscores: bool = Field(default=False, description="Keep the underscores in tags: long_hair, not long hair.")


def tile_settings(
    crops: DetailCropsConfig, trigger: str = "", device: str = "auto"
) -> tuple[CaptionConfig, ServerConfig]:
    """The engine that captions detail crops as their group of settings says; a model run here is put on `device`.

    Without an endpoint the model runs here (the shipped one where none is named); an endpoint that ends in /v1 is
    taken for an OpenAI-compatible one, any other for Ollama.
    """
    if crops.caption_endpoint:
        engine = "openai" if crops.caption_endpoint.rstrip("/").endswith("/v1") else "ollama"
    else:
        engine = "vlm" if crops.caption_model else "shipped"
    caption = CaptionConfig(
        engine=engine,
        model=crops.caption_model,
        trigger=trigger,
        traits="name",  # the prompts decide
        system=crops.caption_system_prompt,
        prompt=crops.caption_user_prompt,
        parallel=crops.parallel_workers,
        device=device,
    )
    server = ServerConfig(
        endpoint=crops.caption_endpoint,
        timeout=crops.caption_timeout,
        max_retries=crops.caption_max_retries,
        auto_pull=crops.caption_auto_pull,
    )
    return caption, server
