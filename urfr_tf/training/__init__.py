"""What happens around a training: strategy, optimizers, callbacks, checkpoints, workers, and the tasks that can be trained."""
