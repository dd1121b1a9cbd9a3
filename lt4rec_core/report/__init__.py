"""One self-contained HTML page about a range of days: what came in, how it was used, how good it was."""
