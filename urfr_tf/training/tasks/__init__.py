"""What differs between the three kinds of training: the model, its losses, its batches, its validation."""
