"""The product's verbs as plain functions, by noun. No torch here: work on the device is done by worker processes."""
