"""From shards to batches: sampling, augmentation, the shares of workers, and a service that makes batches elsewhere."""
