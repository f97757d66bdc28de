"""From an experiment and the facts of its data to the list of trials. Knows neither Ray nor the run directory.

From outside: `experiment.read`, `options`, `plan.make_plan`, `data_facts.read`, and `refits` of a nested selection.
"""
