"""State, step, epoch, placement, loop, checkpoint: motion that knows no model, loss or optimiser."""
