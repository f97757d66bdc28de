"""The paper's figures, and those that tell what its accuracies are worth: one a file, drawn from tables alone.

From outside: each file's functions, which return a Matplotlib figure; `style.save` writes one.
"""
