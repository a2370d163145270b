"""Pictures in answers: small copies, each after a line that says which it is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import Image
from mcp_types import CallToolResult, ContentBlock, TextContent
from pydantic import BaseModel

from likeness.studio.thumbnails import thumbnail
from likeness.studio.workspace import Studio

MOST_SHOWN = 12  # pictures in an answer; more would fill the reader's memory
SIDE = 512  # pixels


def with_pictures(
    studio: Studio, answer: BaseModel, pictures: Sequence[tuple[str, Path]], side: int = SIDE
) -> CallToolResult:
    """The answer as text and as data, then the first of the pictures, each after its words."""
    content: list[ContentBlock] = [TextContent(type="text", text=answer.model_dump_json())]
    for words, path in pictures[:MOST_SHOWN]:
        small = thumbnail(studio, path, side)
        image = Image(data=small.read_bytes(), format="webp").to_image_content()
        content += [TextContent(type="text", text=words), image]
    if len(pictures) > MOST_SHOWN:
        more = f"{len(pictures) - MOST_SHOWN} more pictures are not shown; ask for fewer at a time."
        content.append(TextContent(type="text", text=more))
    data: dict[str, Any] = answer.model_dump(mode="json")
    return CallToolResult(content=content, structured_content=data)
