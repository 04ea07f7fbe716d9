"""Addresses of the pages for people."""

from django.urls import path

from portal import share_links, sharing, sign_in, studies

urlpatterns = [
    path("", studies.study_list, name="study-list"),
    path("accounts/login/", sign_in.page, name="login"),
    path("accounts/logout/", sign_in.leave, name="logout"),
    path("sharing/", sharing.shared, name="shared"),
    path("sharing/<str:study>/", sharing.share, name="share"),
    path("sharing/<uuid:link>/revoke", sharing.end, name="share-end"),
    path("s/", share_links.page, name="open-link"),
    path("s/open", share_links.open_link, name="open-link-exchange"),
    path("share/token", share_links.token, name="share-token"),
]
