"""Admin pages, a module per sort of table. Imported by `workflows/admin.py`, which Django looks for."""
