"""Behind `embreg.advice`: one table read, checked, compared and explained."""
