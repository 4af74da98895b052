"""Fine-tuning of imported weights, measured: `python -m benchmarks.finetune`."""
