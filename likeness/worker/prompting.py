"""The job 'prompts': ask a language model for test prompts. Reads `job.json`, writes `result.json`."""

import json
from pathlib import Path
from typing import Any

from likeness import durable
from likeness.captioning.openai import OpenAI
from likeness.captioning.prompt_help import SYSTEM, question, read_answer
from likeness.captioning.protocol import Ask, CaptionFailed
from likeness.config.caption import CaptionConfig, ServerConfig
from likeness.dataset.prompts import problems_with
from likeness.errors import RunFailed
from likeness.events import EventLog, Stage


def run(folder: Path) -> int:
    """`job.json`: kind, trigger, captions, rules {slot: prompt}, model, server. A bad answer is told in a note."""
    job: dict[str, Any] = json.loads((folder / "job.json").read_text())
    EventLog(folder / "events.jsonl").write(Stage(name="asking"))
    settings = CaptionConfig(engine="openai", model=job["model"], max_words=200)
    server = ServerConfig.model_validate(job["server"])
    prompts, notes = _asked(OpenAI(settings, server), job)
    result = {"model": job["model"], "prompts": prompts, "notes": notes}
    durable.write_text(folder / "result.json", json.dumps(result, indent=2))
    return 0


def _asked(model: OpenAI, job: dict[str, Any]) -> tuple[dict[str, str], list[str]]:
    """The prompts that are good, and what is wrong with the others."""
    told = f"{model.model} at {model.client.endpoint}"
    ask = Ask((), SYSTEM, question(job["captions"], job["trigger"], job["kind"], job["rules"]))
    try:
        (answer,) = model.answer([ask])
        if isinstance(answer, CaptionFailed):
            return {}, [f"{told} gave no prompts ({answer}); those of the rules are used"]
        found = read_answer(answer.text)
    except RunFailed as e:  # it does not let us in, say: its words have a fix
        return {}, [f"{e}. The prompts of the rules are used"]
    except ValueError as e:
        return {}, [f"{told} gave no prompts ({e}); those of the rules are used"]
    wrong = problems_with(found, job["captions"], job["trigger"], job["kind"])
    notes = [f"{slot}: the prompt of {model.model} is not used, since {why}" for slot, why in wrong.items()]
    return {slot: text for slot, text in found.items() if slot not in wrong}, notes
