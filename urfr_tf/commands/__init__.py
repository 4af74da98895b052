"""One module for each subcommand of `urfr`; light to import."""
