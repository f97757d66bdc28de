"""The models, one per file, behind a registry.

From outside: `registry.build` makes a model, `registry.entry` describes one and its costs.
"""
