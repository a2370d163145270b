"""Likeness teaches image foundation models something new and proves that they learned it."""

__version__ = "0.1.0"
