"""Benchmarks: run from the repository, timed on a quiet machine, no part of the package or of the tests."""
