"""From photographs to shards: aligned crops, a journal that survives an interruption, and the writer."""
