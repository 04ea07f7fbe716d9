"""Addresses of the pages for people."""

from django.urls import path

from portal import sign_in, studies

urlpatterns = [
    path("", studies.study_list, name="study-list"),
    path("accounts/login/", sign_in.page, name="login"),
    path("accounts/logout/", sign_in.leave, name="logout"),
]
