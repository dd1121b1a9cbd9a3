"""The Dagster face of lt4rec: assets are title pages over ``lt4rec_core``."""
