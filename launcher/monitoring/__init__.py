"""Living with a run's jobs: status, watching, logs, cancelling and retrying.

From outside: `status`, `watch`, `logs`, `cancel_retry`.
"""
