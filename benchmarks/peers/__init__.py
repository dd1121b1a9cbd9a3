"""What somebody would write instead: no part of the pipeline, and measured beside it."""
