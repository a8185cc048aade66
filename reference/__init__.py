"""The other side: the same operations in PyTorch, and the machinery that holds both against the truth."""
