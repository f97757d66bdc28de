"""Plan, run, resume and tabulate experiments made of many `deepemotion` trainings."""
