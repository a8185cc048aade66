"""Cases of the activations."""
