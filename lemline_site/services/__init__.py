"""Servers of one's own, databases and brokers: for `make up`, for tests and for measuring."""
