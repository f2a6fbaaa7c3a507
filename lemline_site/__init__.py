"""The Django project: what is deployed."""
