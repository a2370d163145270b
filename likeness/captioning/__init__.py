"""Captions and instructions written by machines: engines behind one small protocol."""

from likeness.captioning.engine import Engine, Look, Written, open_engine
from likeness.captioning.protocol import Ask, Captioner, CaptionFailed

__all__ = ["Ask", "CaptionFailed", "Captioner", "Engine", "Look", "Written", "open_engine"]
