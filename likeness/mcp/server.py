"""The MCP server: the tools in one place, on stdio and under `/mcp` of the studio's server."""

import functools
import inspect
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import ToolAnnotations
from pydantic import ValidationError
from starlette.applications import Starlette

from likeness import __version__
from likeness.errors import InputError, LikenessError
from likeness.mcp.dataset_tools import DatasetTools
from likeness.mcp.library_tools import LibraryTools
from likeness.mcp.training_tools import TrainingTools
from likeness.mcp.voice_tools import VoiceTools
from likeness.mcp.voice_training_tools import VoiceTrainingTools
from likeness.service.machine import devices
from likeness.studio import trust
from likeness.studio.endings import ENDINGS
from likeness.studio.supervisor import Supervisor
from likeness.studio.workspace import Studio

RETRY_SECONDS = 5.0  # between tries to run the queue, where somebody else does
INSTRUCTIONS = """Likeness teaches image models a character, a style, a product, a place or an edit, as a LoRA. It also
makes voices that say any text like a speaker.

The way: inspect_machine and list_bases → create_dataset (10-30 pictures) → auto_caption or edit_captions →
check_dataset and fix_dataset until nothing important is left → plan_training (read findings and cost) →
start_training with the plan's config and digest → follow until it has finished → view_run, judge the epochs' pictures
and the scorecard → choose_epoch → generate with its LoRA and trigger → export_model.

A voice: add_recordings (10-20 s of one person), mend what is found → clone_voice with the speaker's own statement of
consent → say. A trained one: add_recordings for training (minutes, with what is said) → plan_voice_training →
start_voice_training → follow → view_voice_run, listen → keep_voice → say. Made speech is marked: verify_speech.

Trainings go on when this conversation ends. Nothing is deleted by these tools, and fix_dataset can undo.
"""
_LOOKS = {
    "inspect_machine", "list_bases", "list_studio", "view_dataset", "check_dataset", "view_run", "follow",
    "list_voices", "view_voice_run",
}  # fmt: skip


def build(studio: Studio, *, local: bool) -> MCPServer[Any]:
    """`local`: callers sit at this machine, and may name its folders."""
    rooms = (
        DatasetTools(studio, local), TrainingTools(studio), LibraryTools(studio, local), VoiceTools(studio, local),
        VoiceTrainingTools(studio, local),
    )  # fmt: skip
    tools = [
        _tool(getattr(room, name), local)  # in the order in which they are written
        for room in rooms
        for name, method in vars(type(room)).items()
        if inspect.isfunction(method) and not name.startswith("_")
    ]
    return MCPServer("likeness", title="Likeness", version=__version__, instructions=INSTRUCTIONS, tools=tools,
                     log_level="WARNING")  # fmt: skip


def http_app(server: MCPServer[Any]) -> Starlette:
    """To be mounted behind the gate, which has looked at Host and Origin. Its session manager has to be run."""
    looked_at = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    return server.streamable_http_app(streamable_http_path="/", stateless_http=True, transport_security=looked_at)


def serve_stdio(studio: Studio) -> None:
    """Answer on stdin and stdout until the other side closes them. The queue is run here unless a server does."""
    ended = threading.Event()
    runner = threading.Thread(target=_run_queue, args=(studio, ended), daemon=True)
    runner.start()
    try:
        anyio.run(build(studio, local=True).run_stdio_async)
    finally:
        ended.set()
        runner.join()


def _run_queue(studio: Studio, ended: threading.Event) -> None:
    """Run the queue as soon as nobody else does, until the end."""
    while not ended.is_set():
        try:
            supervisor = Supervisor(studio, [], ENDINGS)
        except InputError:  # a server has it
            ended.wait(RETRY_SECONDS)
            continue
        supervisor.start()
        supervisor.devices = devices()
        ended.wait()
        supervisor.stop()


class _Tool(Tool):
    """Tells of wrong arguments as of all else that is wrong."""

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        try:
            self.fn_metadata.validate_arguments(arguments)
        except ValidationError as e:
            raise ToolError("\n".join(_in_words(error) for error in e.errors())) from e
        return await super().run(arguments, context, convert_result)


def _in_words(error: Any) -> str:
    field = ".".join(map(str, error["loc"])) or "arguments"
    if error["type"] == "extra_forbidden":
        return f"{field}: no such argument. Fix: leave it out, or check its spelling"
    if error["type"] == "missing":
        return f"{field}: is missing. Fix: give it"
    message = str(error["msg"])
    return f"{field}: {message[:1].lower()}{message[1:]}. Fix: give another value"


def _tool(method: Callable[..., Any], local: bool) -> Tool:
    name = method.__name__
    tool = _Tool.from_function(
        _careful(method, local),
        annotations=ToolAnnotations(read_only_hint=name in _LOOKS, destructive_hint=False, open_world_hint=False),
        description=inspect.getdoc(method),
    )
    arguments = tool.fn_metadata.arg_model
    arguments.model_config["extra"] = "forbid"  # what is misspelled is refused, not ignored
    arguments.model_rebuild(force=True)
    tool.parameters = arguments.model_json_schema(by_alias=True)
    return tool


def _careful(method: Callable[..., Any], local: bool) -> Callable[..., Any]:
    """What a person would be told goes to the agent in the same words."""
    trusted = nullcontext if local else trust.from_elsewhere
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def waiting(*args: Any, **kwargs: Any) -> Any:
            try:
                with trusted():
                    return await method(*args, **kwargs)
            except (LikenessError, OSError) as e:
                raise ToolError(str(e)) from e

        return waiting

    @functools.wraps(method)
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            with trusted():
                return method(*args, **kwargs)
        except (LikenessError, OSError) as e:
            raise ToolError(str(e)) from e

    return called
