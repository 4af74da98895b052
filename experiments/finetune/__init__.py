"""Fine-tuning of imported weights, measured: `python -m experiments.finetune`."""
