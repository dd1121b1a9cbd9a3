"""The race for Table 2, label scarcity, and the simulated online test."""
