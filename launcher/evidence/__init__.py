"""What the tables are evidence of: scores with intervals and p-values, comparisons, and their text.

From outside: `evidence.write_evidence`, `numbers`, `compared_runs.compare`.
"""
