"""The HTML report of a run and its figures.

From outside: `html.write_report`, `figures.draw`.
"""
