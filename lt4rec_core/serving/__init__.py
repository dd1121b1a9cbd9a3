"""Room ``serving``: a day's model made small and fast, and what ranks videos with it."""
