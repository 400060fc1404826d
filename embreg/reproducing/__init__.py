"""Behind `embreg.reproduction`: what of a run is compared, how closely, and the committed table."""
