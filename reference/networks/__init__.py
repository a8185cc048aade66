"""Networks that a user has in torch: their twin in `manual`, recorded while they run, and how well the two agree."""
