"""A run's results as tables: trials, epochs, predictions, and the aggregates that TensorBoard shows.

From outside: `trials.write_tables`, `tensorboard.write_aggregates`.
"""
