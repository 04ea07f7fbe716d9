"""The resource tables of PS3.18: 10.1-1 (Studies Service), 13.1.1-1, 14.1.1-1, 15.1.1-1, and what is our own."""

from django.urls import URLPattern, path, register_converter

from access.link_door import open_to_links
from dicom.uids import UID_PATTERN
from dicomweb.bulkdata import RetrieveBulkData
from dicomweb.bulkdata_sets import RetrieveBulkDataSet
from dicomweb.capabilities import Capabilities
from dicomweb.change_feed import ChangeFeed, LatestChange
from dicomweb.commitment import Commitment
from dicomweb.event_channel import EventChannel
from dicomweb.extended_tags import ExtendedTagErrors, ExtendedTagOperation, ExtendedTagResource, ExtendedTags
from dicomweb.frames import RetrieveFrames
from dicomweb.metadata import RetrieveMetadata
from dicomweb.performed import PerformedStep
from dicomweb.pixeldata import RetrievePixelData
from dicomweb.qido import SearchInstances, SearchSeries
from dicomweb.rendered import RetrieveRendered
from dicomweb.rendered_sets import RetrieveRenderedFrames, RetrieveRenderedSet
from dicomweb.studies import SeriesOrInstance, Studies, Study
from dicomweb.thumbnails import RetrieveThumbnail
from dicomweb.wado_uri import WadoUri
from dicomweb.workitem import WorkItemResource
from dicomweb.workitem_release import ReleaseWorkItem
from dicomweb.workitem_state import WorkItemCancellation, WorkItemState
from dicomweb.workitem_subscriptions import SuspendedSubscription, WorkItemSubscriber
from dicomweb.workitems import WorkItems
from dicomweb.worklist import ScheduledSteps


class UIDConverter:
    """A UID in a path; what is none finds nothing (404)."""

    regex = UID_PATTERN

    def to_python(self, value: str) -> str:
        """The UID."""
        return value

    def to_url(self, value: str) -> str:
        """The UID."""
        return value


register_converter(UIDConverter, "uid")

_STUDY = "studies/<uid:study>"
_SERIES = f"{_STUDY}/series/<uid:series>"
_WORKITEM = "workitems/<uid:workitem>"
_SUBSCRIBER = f"{_WORKITEM}/subscribers/<str:title>"
_INSTANCE = f"{_SERIES}/instances/<uid:instance>"

urlpatterns: list[URLPattern] = [
    path("studies", Studies.as_view(), name="studies"),
    path("series", SearchSeries.as_view(), name="all-series"),
    path("instances", SearchInstances.as_view(), name="all-instances"),
    path(_STUDY, Study.as_view(), name="study"),
    path(f"{_STUDY}/metadata", RetrieveMetadata.as_view(), name="study-metadata"),
    path(f"{_STUDY}/thumbnail", RetrieveThumbnail.as_view(), name="study-thumbnail"),
    path(f"{_STUDY}/rendered", RetrieveRenderedSet.as_view(), name="study-rendered"),
    path(f"{_STUDY}/pixeldata", RetrievePixelData.as_view(), name="study-pixeldata"),
    path(f"{_STUDY}/bulkdata", RetrieveBulkDataSet.as_view(), name="study-bulkdata"),
    path(f"{_STUDY}/series", SearchSeries.as_view(), name="study-series"),
    path(f"{_STUDY}/instances", SearchInstances.as_view(), name="study-instances"),
    path(_SERIES, SeriesOrInstance.as_view(), name="series"),
    path(f"{_SERIES}/metadata", RetrieveMetadata.as_view(), name="series-metadata"),
    path(f"{_SERIES}/thumbnail", RetrieveThumbnail.as_view(), name="series-thumbnail"),
    path(f"{_SERIES}/rendered", RetrieveRenderedSet.as_view(), name="series-rendered"),
    path(f"{_SERIES}/pixeldata", RetrievePixelData.as_view(), name="series-pixeldata"),
    path(f"{_SERIES}/bulkdata", RetrieveBulkDataSet.as_view(), name="series-bulkdata"),
    path(f"{_SERIES}/instances", SearchInstances.as_view(), name="series-instances"),
    path(_INSTANCE, SeriesOrInstance.as_view(), name="instance"),
    path(f"{_INSTANCE}/metadata", RetrieveMetadata.as_view(), name="instance-metadata"),
    path(f"{_INSTANCE}/rendered", RetrieveRendered.as_view(), name="instance-rendered"),
    path(f"{_INSTANCE}/thumbnail", RetrieveThumbnail.as_view(), name="instance-thumbnail"),
    path(f"{_INSTANCE}/frames/<str:numbers>", RetrieveFrames.as_view(), name="frames"),
    path(f"{_INSTANCE}/frames/<str:numbers>/rendered", RetrieveRenderedFrames.as_view(), name="frames-rendered"),
    path(f"{_INSTANCE}/frames/<str:numbers>/thumbnail", RetrieveThumbnail.as_view(), name="frames-thumbnail"),
    path(f"{_INSTANCE}/pixeldata", RetrievePixelData.as_view(), name="instance-pixeldata"),
    path(f"{_INSTANCE}/bulkdata", RetrieveBulkDataSet.as_view(), name="instance-bulkdata"),
    path(f"{_INSTANCE}/bulkdata/<path:path>", RetrieveBulkData.as_view(), name="bulkdata"),
    path("wado", WadoUri.as_view(), name="wado-uri"),
]
# What is about studies is for the holders of share links as well, and nothing else is.
for _entry in urlpatterns:
    open_to_links(_entry.callback)
urlpatterns += [
    path("changefeed", ChangeFeed.as_view(), name="changefeed"),
    path("changefeed/latest", LatestChange.as_view(), name="changefeed-latest"),
    path("commitment-requests/<uid:transaction>", Commitment.as_view(), name="commitment"),
    path("modality-scheduled-procedure-steps", ScheduledSteps.as_view(), name="modality-scheduled-procedure-steps"),
    path(
        "modality-performed-procedure-steps/<uid:mpps>",
        PerformedStep.as_view(),
        name="modality-performed-procedure-step",
    ),
    path("workitems", WorkItems.as_view(), name="workitems"),
    path(_WORKITEM, WorkItemResource.as_view(), name="workitem"),
    path(f"{_WORKITEM}/state", WorkItemState.as_view(), name="workitem-state"),
    path(f"{_WORKITEM}/state/<str:requester>", WorkItemState.as_view(), name="workitem-state-by"),
    path(f"{_WORKITEM}/cancelrequest", WorkItemCancellation.as_view(), name="workitem-cancel"),
    path(f"{_WORKITEM}/cancelrequest/<str:requester>", WorkItemCancellation.as_view(), name="workitem-cancel-by"),
    path(f"{_WORKITEM}/release", ReleaseWorkItem.as_view(), name="workitem-release"),
    path(_SUBSCRIBER, WorkItemSubscriber.as_view(), name="workitem-subscriber"),
    path(f"{_SUBSCRIBER}/suspend", SuspendedSubscription.as_view(), name="workitem-subscriber-suspend"),
    path("subscribers/<str:title>", EventChannel.as_view(), name="event-channel"),
    path("extendedquerytags", ExtendedTags.as_view(), name="extended-tags"),
    path("extendedquerytags/<str:tag>", ExtendedTagResource.as_view(), name="extended-tag"),
    path("extendedquerytags/<str:tag>/errors", ExtendedTagErrors.as_view(), name="extended-tag-errors"),
    path("operations/<str:operation>", ExtendedTagOperation.as_view(), name="operation"),
]
# The list describes itself, so it has to be there first.
urlpatterns.append(path("", Capabilities.as_view(patterns=urlpatterns), name="capabilities"))
# As they are tried, each with an expression of its own: what is asked for by the hundred comes first.
_OFTEN = (
    "series-thumbnail",
    "series-metadata",
    "studies",
    "instance-rendered",
    "frames-rendered",
    "instance",
    "frames",
)
often_first = sorted(urlpatterns, key=lambda entry: -_OFTEN.index(entry.name) if entry.name in _OFTEN else 1)
