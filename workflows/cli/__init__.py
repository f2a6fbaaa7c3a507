"""Command line, the second door: `manage.py lemline <area> <verb>`, one module per area."""
