"""Composed scenes: recordings mixed on a time line, with exact ground truth."""
