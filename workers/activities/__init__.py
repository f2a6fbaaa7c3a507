"""Outside work: JSON in, JSON or a problem out. Knows neither Django nor Celery."""
