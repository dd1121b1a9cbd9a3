"""Tasks, the network, masks and how they are pruned."""
