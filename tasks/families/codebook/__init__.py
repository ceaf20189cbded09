"""What can be said of a codebook itself: the health of tokens and belief."""
