"""Entry of the worker process. Exit codes: 0 done, 2 bad input, 3 failed with the state saved, 130 interrupted."""

import importlib
import os
import signal
import sys
import traceback
from pathlib import Path

from likeness.errors import LAST_WORDS, LikenessError

JOBS = {
    "train": "training",
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
}


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or arguments[0] not in JOBS:
        print(f"usage: python -m likeness.worker {'|'.join(JOBS)} FOLDER", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the job listens itself
    # Threads that spin while they wait would take the core that other work needs.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        # Only what the job needs: captions from a server need no torch.
        job = importlib.import_module(f"likeness.worker.{JOBS[arguments[0]]}")
        return job.run(Path(arguments[1]))
    except LikenessError as e:
        print(f"{LAST_WORDS}{e}", flush=True)
        return e.exit_code
    except KeyboardInterrupt:
        print(f"{LAST_WORDS}stopped at once; what was saved before is whole", flush=True)
        return 130
    except Exception:
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
