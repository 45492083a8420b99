"""Applications and connections: kept sealed, lent to connectors, renewed, and connected again."""
