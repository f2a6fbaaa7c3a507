"""HTTP, the first door: reads a request, calls one operation, shows the result."""
