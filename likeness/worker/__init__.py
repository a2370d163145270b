"""One process, one job: `python -m likeness.worker train RUN` or `… sample FOLDER`.

The worker owns the device and knows nothing of databases or pages. It reads what to do from a folder and leaves
events and results there.
"""

import os

# What libraries read when they are loaded.
ENVIRONMENT = {
    # How threads wait for one another. Those that spin until there is work would take the core that other work needs;
    # those that sleep at once lose a third of the time to being woken. So they spin for some 20 µs (`make
    # bench-waiting`).
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "2000",
    "OPENBLAS_NUM_THREADS": "1",  # NumPy's products here are small and many: threads would cost more than they do
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}


def prepare() -> None:
    """To be called before torch is imported. What the environment says already stays."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
