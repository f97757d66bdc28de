"""From observers' annotations to labels.tsv: the emotion of every second of the movie.

From outside: `table.Labels` reads labels.tsv, `pipeline.make_labels` makes it from annotations.
"""
