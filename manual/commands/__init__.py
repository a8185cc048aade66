"""What `python -m manual` can train."""
