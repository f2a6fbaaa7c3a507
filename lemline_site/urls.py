"""Mounts the doors: API, health and metrics, admin, approvals by link."""

from django.contrib import admin
from django.urls import include, path

from workflows.approve import approve

handler404 = "workflows.api.problems.not_found"
handler500 = "workflows.api.problems.failed"

admin.autodiscover()

urlpatterns = [
    path("admin/", admin.site.urls),
    path("approve/<str:token>", approve, name="approve"),
    path("", include("workflows.api.urls")),
]
