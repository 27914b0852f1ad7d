"""Data sets from recipes: records of all sources, selected, filtered, counted and written, with report and card."""
