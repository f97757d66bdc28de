"""A stage in a folder of its own: beside the others, it would be one file too many."""
