"""Addresses of the pages of the trail."""

from django.urls import path

from trail import alert_pages, disclosure_pages, exports, own_log, pages, review_pages

urlpatterns = [
    path("", pages.timeline, name="trail"),
    path("mine", own_log.page, name="own-log"),
    path("mine.json", own_log.as_json, name="own-log-json"),
    path("events.csv", exports.events_csv, name="trail-csv"),
    path("events.xml", exports.events_xml, name="trail-xml"),
    path("alerts/", alert_pages.page, name="trail-alerts"),
    path("alerts/<int:alert>/", alert_pages.look_at, name="trail-alert"),
    path("reviews/", review_pages.page, name="trail-reviews"),
    path("reviews/<uuid:review>/", review_pages.one, name="trail-review"),
    path("reviews/<uuid:review>/remove", review_pages.remove, name="trail-review-remove"),
    path("disclosures", disclosure_pages.page, name="trail-disclosures"),
    path("disclosures.csv", disclosure_pages.as_csv, name="trail-disclosures-csv"),
]
