"""What is watched and asked over HTTP: runs while they train, and their forecasts. Nothing here writes into a run."""
