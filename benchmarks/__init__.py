"""How fast: hand-written backpropagation in NumPy beside PyTorch, on the same numbers."""
