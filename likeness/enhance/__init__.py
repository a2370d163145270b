"""Enlarging pictures with a network that knows what edges look like."""
