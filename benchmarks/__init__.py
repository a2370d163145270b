"""Figures that are measured, not asserted: speed, memory, and how well the example is learned."""
