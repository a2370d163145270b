"""Entry of the worker process. Exit codes: 0 done, 2 bad input, 3 failed with the state saved, 130 interrupted."""

import os
import sys
import traceback
from pathlib import Path

from likeness.errors import LikenessError

JOBS = ("train", "sample")


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or arguments[0] not in JOBS:
        print(f"usage: python -m likeness.worker {'|'.join(JOBS)} FOLDER", file=sys.stderr)
        return 2
    # Threads that spin while they wait would take the core that other work needs.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    from likeness.worker import sampling, training

    jobs = {"train": training.run, "sample": sampling.run}
    try:
        return jobs[arguments[0]](Path(arguments[1]))
    except LikenessError as e:
        print(e, file=sys.stderr)
        return e.exit_code
    except Exception:
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
