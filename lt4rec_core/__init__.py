"""What lt4rec computes, without Dagster: data, quality, model, evaluation, training."""
