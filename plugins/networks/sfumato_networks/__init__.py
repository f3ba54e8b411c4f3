"""Networks that several model families share, and the reading of their weights."""
