"""Cases of what stands between layers."""
