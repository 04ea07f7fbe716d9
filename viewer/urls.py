"""Addresses below ``/viewer/``."""

from django.urls import path

from viewer import views

urlpatterns = [
    path("app-config.js", views.app_config, name="viewer-config"),
    path("build/<slug:build>/<path:name>", views.build_file, name="viewer-file"),
    path("", views.page, name="viewer"),
    path("<path:route>", views.page, name="viewer-route"),
]
