"""State and fact in, state and commands out. No clock, no randomness, no I/O, no Django."""
