"""Sinks: how a CloudEvent is laid out, signed and brought to a place, with a module per sort of place.

`sender.py` says what a place must do for a courier (`workers/courier.py`); `places.py` finds the module for an address.
"""
