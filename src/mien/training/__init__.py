"""Training on Lightning Fabric: the loop, the update, checkpoints and logs; knows models by their base only."""
