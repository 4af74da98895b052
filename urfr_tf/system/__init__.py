"""What this process can use and should say: memory, allocator, log level."""
