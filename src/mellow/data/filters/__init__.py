"""Filters of questions: one module per failure mode, each of which gives a reason for a record or has none."""
