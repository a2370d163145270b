"""Sounds in answers, each after a line that says which it is; larger ones by their address alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import Audio
from mcp_types import CallToolResult, ContentBlock, TextContent
from pydantic import BaseModel

from likeness.mcp.voice_shapes import SoundSeen

MOST_HEARD = 8  # sounds in an answer
MOST_BYTES = 1_500_000  # of all sounds in an answer


def sound_seen(words: str, path: Path, address: str, *, local: bool) -> SoundSeen:
    """`local`: whoever asks sits at this machine, and may open the file."""
    return SoundSeen(words=words, address=address, file=str(path) if local else "", bytes=path.stat().st_size)


def with_sounds(answer: BaseModel, sounds: Sequence[tuple[str, Path]]) -> CallToolResult:
    """The answer as text and as data, then as many of the sounds as an answer holds, each after its words."""
    content: list[ContentBlock] = [TextContent(type="text", text=answer.model_dump_json())]
    left, heard = MOST_BYTES, 0
    for words, path in sounds:
        size = path.stat().st_size
        if heard == MOST_HEARD or size > left:
            continue
        left, heard = left - size, heard + 1
        content += [TextContent(type="text", text=words), Audio(path).to_audio_content()]
    if heard < len(sounds):
        more = f"{len(sounds) - heard} more sounds are not in this answer; fetch them by their address."
        content.append(TextContent(type="text", text=more))
    told: dict[str, Any] = answer.model_dump(mode="json")
    return CallToolResult(content=content, structured_content=told)
