"""How far a prediction is from its target."""
