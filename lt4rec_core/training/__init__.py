"""The training loop, the ticket search, and models on disk."""
