"""What `urfr bench` measures: ratios within one run."""
