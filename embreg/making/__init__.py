"""Behind ``embreg data make``: the programs that measure the tasks of the real families, row by row."""
