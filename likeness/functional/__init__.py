"""Pure tensor maths: no models, no files, no state."""
