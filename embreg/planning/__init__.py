"""What runs would cost: behind `embreg.plan` and ``embreg run --dry-run``."""
