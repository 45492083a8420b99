"""The benchmark: what a durable step costs, beside the raw limits of the same machine in the same minute."""
