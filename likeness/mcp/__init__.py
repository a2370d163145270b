"""Tools for agents: the whole way from pictures to a chosen LoRA, over the same functions as REST and pages."""
