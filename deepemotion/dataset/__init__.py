"""A dataset's description: its film, its runs, and the patterns of its files.

From outside: `description.Dataset` reads one, and finds runs and masks; `control_sources.ControlSource` is a kind of
file that controls are made of.
"""
