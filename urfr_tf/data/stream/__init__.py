"""From shards to batches: sampling, augmentation, worker shares, and a service that makes batches."""
