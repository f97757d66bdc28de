"""The networks, one a file, behind a registry.

From outside: `registry.build` makes a model, `registry.entry` says what one costs.
"""
