"""A trial's settings, their YAML and overrides, and the rules between them.

From outside: `schema` for the settings, `rules` for what refuses a combination, `overrides` and `subjects` for the
words of a command line.
"""
