"""One module per engine. Each runs in its own process, with its own environment's interpreter."""
