"""The documentation, and the program that writes those of its pages which describe code."""
