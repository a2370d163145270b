"""`likeness mcp`: tools for agents, on stdin and stdout."""

from pathlib import Path

from cyclopts import App

from likeness.cli import Workspace
from likeness.mcp.server import serve_stdio
from likeness.studio.workspace import Studio

_EXAMPLES = "Examples:\n\n" + "\n\n".join((
    "likeness mcp",
    "likeness mcp --workspace /data/runs",
    "claude mcp add likeness -- likeness mcp --workspace /data/runs",
))  # fmt: skip

mcp = App(name="mcp", help_epilogue=_EXAMPLES)


@mcp.default
def run(*, workspace: Workspace = Path("runs")) -> int:
    """Give an agent the tools to train, look, choose and generate. It starts this command by itself.

    Jobs are run here, or by `likeness serve` where it has the same workspace. Trainings go on when the agent leaves.
    """
    studio = Studio(workspace)
    try:
        serve_stdio(studio)
    finally:
        studio.close()
    return 0
