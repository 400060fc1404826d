"""Behind `embreg.head` and `embreg.baselines`: training MLPs side by side, and the grids of the baselines."""
