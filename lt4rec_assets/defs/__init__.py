"""One module per asset group; each asset reads, calls the core, publishes and reports."""
