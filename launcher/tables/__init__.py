"""A run's results as tables: trials, epochs, predictions, and what TensorBoard shows.

From outside: `trials.write_tables`, `selection.Trials`, `held_out.read_held_out`, `tensorboard.write_aggregates`.
"""
