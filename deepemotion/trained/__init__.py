"""What is done with a trained model: evaluate it on further subjects, explain it, map its hidden layer.

From outside: `trained.load_trained`, `further_subjects`, `explanation.explain`.
"""
