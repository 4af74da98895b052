"""What `urfr_tf/train.py` needs besides the models: what differs between tasks, and what is common to all.

- `tasks/`: the model, its batches and its measure for each kind of training.
- `optimizers`, `addons`: the learning rate and the optimizer.
- `strategy`, `workers`, `precision`: devices, processes and number formats.
- `segments`, `callbacks`, `checkpoints`, `preemption`: the calls of `fit`, what happens around its steps, and
  how a training stops and resumes.
- `snapshot`, `validation`, `tensorboard`: the network as it would be served now, its metrics and pictures.
- `data_service`: processes that make the batches elsewhere.
- `description`: the training in words.
- `mine`: soft labels from an attribute network or from a table.
"""
