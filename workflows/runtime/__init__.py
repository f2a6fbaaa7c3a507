"""Makes the engine durable: stores steps, rings workers, finds what is due, mends what was lost."""
