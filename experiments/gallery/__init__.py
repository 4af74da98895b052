"""LFW as a gallery: people enrolled, searched and told from strangers with the commands of the guide."""
