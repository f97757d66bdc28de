"""Training one trial: its data, loop, checkpoints, directory and result.

From outside: `loop.train` trains, `trial_directory.TrialDirectory` stores a trial, `memory` estimates what it needs.
"""
