"""`likeness prompts`: test prompts for a dataset."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from pydantic import ValidationError
from rich.markup import escape

from likeness.cli import Json, screen
from likeness.errors import InputError

_EXAMPLES = "Examples:\n\n" + "\n\n".join((
    "likeness prompts maya.yaml",
    "likeness prompts photos/maya --trigger maya_char",
    "likeness prompts art/inkwash --kind style --trigger inkwash --json",
    "likeness prompts maya.yaml --llm http://127.0.0.1:11434 --model llama3.1",
    "likeness prompts maya.yaml --llm https://api.openai.com/v1 --model gpt-5-mini --api-key-env OPENAI_API_KEY",
))  # fmt: skip

prompts = App(name="prompts", help_epilogue=_EXAMPLES)


@prompts.default
def suggest(
    source: Path,
    /,
    *,
    trigger: Annotated[
        str | None, Parameter(help="The trigger word. Default: of the settings, or seen in captions.")
    ] = None,
    kind: Annotated[
        str | None, Parameter(help="character, style, product, environment or edit. Default: of the settings.")
    ] = None,
    llm: Annotated[
        str | None,
        Parameter(help="Address of a language model: ending in /v1 an OpenAI-compatible server, else Ollama."),
    ] = None,
    model: Annotated[str, Parameter(help="The language model's name there.")] = "",
    api_key_env: Annotated[str, Parameter(help="Environment variable with the key to send.")] = "",
    timeout: Annotated[float, Parameter(help="Seconds to wait for the language model's answer.")] = 120.0,
    json_: Json = False,
) -> int:
    """Suggest by rules, then let the language model better them, where one is named."""
    from likeness.cli.progress import follow
    from likeness.config.caption import ServerConfig
    from likeness.service import prompts as service
    from likeness.service.numbers import option_problems
    from likeness.service.workers import begin

    if llm is None and (model or api_key_env):
        raise InputError("--llm: the address of the language model is missing. Fix: --llm http://127.0.0.1:11434")
    found = service.suggest(source, trigger, kind)
    if llm is not None:
        try:
            server = ServerConfig(endpoint=llm, api_key_env=api_key_env, timeout=timeout, max_retries=1)
        except ValidationError as e:
            raise InputError(*(p.replace("--endpoint", "--llm") for p in option_problems(e))) from e
        worker = begin(service.order(found, service.LanguageModel(server, model)))
        follow(worker, None if json_ else screen)
        found = service.better(worker.finish(), found)
    if json_:
        told = asdict(found)
        del told["captions"]
        print(json.dumps(told, indent=2))
        return 0
    for note in found.notes:
        screen.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    for idea in found.ideas:
        screen.print(f"[bold]{idea.slot}[/]  {escape(idea.prompt)}", soft_wrap=True)
        screen.print(f"    [dim]{escape(idea.why)}[/]", soft_wrap=True)
    screen.print("\nFor the settings file:\n")
    screen.print(service.as_yaml(found), markup=False, soft_wrap=True)
    if found.kind == "edit":
        screen.print("\nPut pictures that no pair has in place of SOURCE.png.")
    return 0
