"""Entry of the worker process. Exit codes: 0 done, 2 bad input, 3 failed with the state saved, 130 interrupted.

Where the environment names a folder in LIKENESS_JOB, `pid` and, at the end, `outcome.json` are written there: whoever
looks after the job may have come later, and cannot ask the system what a stranger's process ended with.
"""

import importlib
import json
import os
import signal
import sys
import traceback
from pathlib import Path

from likeness import durable
from likeness.errors import LAST_WORDS, LikenessError
from likeness.worker import prepare, staying

JOBS = {
    "train": "training",
    "mock": "mocking",
    "sample": "sampling",
    "convert": "converting",
    "merge": "merging",
    "extract": "extracting",
    "reduce": "reducing",
    "inspect": "inspecting",
    "caption": "captioning",
    "enhance": "enhancing",
    "scorecard": "measuring",
    "draw": "drawing",
    "evaluate": "evaluating",
    "prompts": "prompting",
    "publish": "publishing",
    "voice-check": "voice_checking",
    "voice-clone": "voice_cloning",
    "voice-say": "voice_saying",
    "voice-train": "voice_training",
    "voice-verify": "voice_verifying",
}


def main(arguments: list[str]) -> int:
    """Run a job, and those that come after it (see `staying`) as long as all goes well; the last one's exit code."""
    while True:
        code = _job(arguments)
        if code != 0 or not (arguments := staying.next_job()):
            return code


def _job(arguments: list[str]) -> int:
    """Run one, and leave word of its end where that is asked for."""
    for number in (signal.SIGTERM, signal.SIGINT):  # until the job listens itself; a shell may have had one ignored
        signal.signal(number, signal.default_int_handler)
    place = Path(os.environ["LIKENESS_JOB"]) if "LIKENESS_JOB" in os.environ else None
    if place:
        durable.write_text(place / "pid", str(os.getpid()))
    code, words = _run(arguments)
    if words:
        print(f"{LAST_WORDS}{words}", flush=True)
    if place:
        durable.write_text(place / "outcome.json", json.dumps({"code": code, "words": words}))
    return code


def _run(arguments: list[str]) -> tuple[int, str]:
    """The exit code, and the last words where the job has not said them itself."""
    if len(arguments) != 2 or arguments[0] not in JOBS:
        return 2, f"usage: python -m likeness.worker {'|'.join(JOBS)} FOLDER"
    prepare()
    try:
        # Only what the job needs: captions from a server need no torch.
        job = importlib.import_module(f"likeness.worker.{JOBS[arguments[0]]}")
        return job.run(Path(arguments[1])), ""
    except LikenessError as e:
        return e.exit_code, str(e)
    except KeyboardInterrupt:
        return 130, "stopped at once; what was saved before is whole"
    except Exception:
        traceback.print_exc()
        return 1, ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
