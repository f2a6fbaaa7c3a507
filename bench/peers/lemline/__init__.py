"""Lemline: worker processes as `make up` starts them, two for the pool that works.

Every answer is checked, and so is the promise: each step recorded once, none of an instance in the transaction of
another, nothing left over.
"""
