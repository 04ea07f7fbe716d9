"""News that instances which are stored are given otherwise than before: for the followers of the change feed.

Their patient was corrected or is another one by now, or a study came out of quarantine. What was stored is the same.
"""

from collections.abc import Iterable
from typing import Final

from audit.prepared import PreparedSql

_TELL: Final = PreparedSql(
    "INSERT INTO archive_changefeedentry (action, study_instance_uid, series_instance_uid, sop_instance_uid)"
    " SELECT 'update', s.study_instance_uid, e.series_instance_uid, i.sop_instance_uid"
    " FROM archive_instance i JOIN archive_series e ON e.id = i.series_id JOIN archive_study s ON s.id = e.study_id"
    " WHERE e.id = ANY(%s) ORDER BY e.id, i.instance_number, i.id"
)


def tell(series: Iterable[int]) -> None:
    """Write an entry for each instance of these series, in the transaction of the change."""
    _TELL.run([list(series)])
