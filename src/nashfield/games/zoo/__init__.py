"""Games of the literature, one family a file."""
