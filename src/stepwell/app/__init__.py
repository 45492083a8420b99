"""The App and what it wires together."""
