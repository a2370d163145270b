"""One process, one job: `python -m likeness.worker train RUN` or `… sample FOLDER`.

The worker owns the device and knows nothing of databases or pages. It reads what to do from a folder and leaves
events and results there.
"""

# How threads wait for one another. Those that spin until there is work would take the core that other work needs; those
# that sleep at once lose a third of the time to being woken. So they spin for some 20 µs (`make bench-waiting`).
WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "2000"}
