"""What is known of each vendor, one file each. Facts are from the vendors' documentation and sources, named there."""
