"""Simulates a StudyForrest-shaped dataset: the real one's file tree and formats, with known emotions and networks.

From outside: `folder.simulate` writes a dataset of `parameters.Parameters`.
"""
