"""Mounts the doors: API, health and metrics, admin."""

from django.contrib import admin
from django.urls import include, path

handler404 = "workflows.api.problems.not_found"
handler500 = "workflows.api.problems.failed"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("workflows.api.urls")),
]
