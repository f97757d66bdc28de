"""From observers' annotations to labels.tsv: the emotion of every second of the movie.

From outside: `table.Labels` to read and write labels.tsv, `annotations`, `rules` and `consensus` to make it.
"""
