"""The Celery side: who does the work."""
