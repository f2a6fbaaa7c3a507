"""Bridges: what arrives at a broker of others is received as CloudEvents, and acknowledged once it is stored.

`source.py` says what a broker must do for a bridge, and a module per broker does it; `bridge.py` takes, stores and
acknowledges; `lease.py` has one process do that at a time. `lemline_site/config/bridges.py` reads where they take from.
"""
