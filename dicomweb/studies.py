"""The resources that take several transactions: which right and which event count depends on the method."""

from django.http import HttpRequest

from dicomweb.delete import DeleteView
from dicomweb.qido import SearchStudies
from dicomweb.stow import StoreView
from dicomweb.view import DicomwebView
from dicomweb.wado import RetrieveInstances

# method -> its transaction; any other method is the reading one's
_BY_METHOD: dict[str, type[DicomwebView]] = {"POST": StoreView, "DELETE": DeleteView}


class _ByMethod(DicomwebView):
    """A resource of which some methods are another transaction than reading."""

    reads: type[DicomwebView]
    permission = StoreView.permission
    event = StoreView.event

    def initial(self, request: HttpRequest) -> None:
        """Ask for the right of the transaction that the method names."""
        named = _BY_METHOD.get(request.method or "", self.reads)
        transaction = named if isinstance(self, named) else self.reads
        self.permission, self.event = transaction.permission, transaction.event  # type: ignore[misc]
        self.partly = transaction.partly  # type: ignore[misc]
        super().initial(request)


class Studies(_ByMethod, SearchStudies, StoreView):
    """``/studies``: search by GET, store by POST."""

    reads = SearchStudies


class Study(_ByMethod, RetrieveInstances, StoreView, DeleteView):
    """``/studies/{study}``: retrieve by GET, store by POST, delete by DELETE."""

    reads = RetrieveInstances


class SeriesOrInstance(_ByMethod, RetrieveInstances, DeleteView):
    """A series or an instance: retrieve by GET, delete by DELETE."""

    reads = RetrieveInstances
