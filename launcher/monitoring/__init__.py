"""Everything about a run's jobs after submission: status, watching, logs, cancelling and retrying.

From outside: `status`, `summary`, `runs`, `watch`, `logs`, `cancel_retry`.
"""
