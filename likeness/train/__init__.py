"""Training: cache, order, steps, and state that a run can go on from."""
