"""The starter's companions: small models that look at pictures of the world, each in a class that transformers loads.

A CLIP that compares, a captioner, an instructor that names an edit, an upscaler. All are trained on renders alone.
"""

from pathlib import Path

FOLDER = Path("likeness/companions")  # the finished weights and their cards
WORK = Path("build/companions")  # states of trainings
LOG = Path("starter_recipe/log")
NAMES = ("clip", "captioner", "instructor", "upscaler")
