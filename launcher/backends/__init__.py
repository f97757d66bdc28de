"""Where the trials of a plan run. Each backend is one module with one function `run`."""
