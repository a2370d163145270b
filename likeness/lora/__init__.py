"""LoRA weights: put into a model, read from it, kept in files."""
