"""Behind `embreg.saving`: what may be loaded, and how fitted attributes become tensors and JSON."""
