"""One process, one job: `python -m likeness.worker train RUN` or `… sample FOLDER`.

The worker owns the device and knows nothing of databases or pages. It reads what to do from a folder and leaves
events and results there.
"""
