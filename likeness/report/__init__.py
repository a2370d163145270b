"""Seeing a run: its history read back from the run folder, the epochs-by-prompts grid, the self-contained report."""
