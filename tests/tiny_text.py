"""The tokenizer of tiny bases; data/README.md says why it is not the starter's own."""

from pathlib import Path

TOKENIZER = Path(__file__).parent / "data" / "tokenizer"
