"""Models as they lie on a disk, read without torch: names, config.json, the two parts of a model, and the cache."""
