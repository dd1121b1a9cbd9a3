"""Logs to tensors: SQL files, the lake, sources, the simulator, loading."""
