"""`urfr plan`: what a training will need, before anything starts."""
