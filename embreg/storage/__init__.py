"""What is behind `embreg.store` and `embreg.spaces`: the file of a space, its rows, its upkeep."""
