"""Cases of the losses."""
