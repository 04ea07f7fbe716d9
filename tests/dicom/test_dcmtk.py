"""Pictures of packaged files against DCMTK's (issue 5, acceptance 2); those of the shared files are in tests/shared."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import pytest

from tests.dicom.dcmtk_pictures import difference, needs_dcmtk
from tests.dicom.independent_pixels import packaged

COMPARED = [
    "CT_small.dcm",  # signed, rescaled
    "MR_small.dcm",
    "MR_small_bigendian.dcm",
    "examples_overlay.dcm",  # overlays
    "examples_palette.dcm",
    "examples_ybr_color.dcm",
    "examples_rgb_color.dcm",
    "examples_jpeg2k.dcm",
    "JPGExtended.dcm",
    "SC_rgb_dcmtk_+eb+cy+np.dcm",
    "SC_rgb_dcmtk_+eb+cy+s2.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "rtdose_1frame.dcm",
    "liver_1frame.dcm",
    "SC_rgb_rle_16bit.dcm",
    "SC_rgb_small_odd_big_endian.dcm",
    "SC_rgb_rle_32bit.dcm",
    "rtdose_expb_1frame.dcm",
]
NOT_COMPARED = {
    "rtdose_expb_1frame.dcm": "dcmj2pnm swaps the words of 32-bit big-endian samples",
}


@needs_dcmtk
@pytest.mark.parametrize("name", COMPARED)
def test_pictures_equal_those_of_dcmtk(name: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = difference(packaged(name), tmp_path)
        except ValueError:
            found = math.inf
    assert (found > 1) == (name in NOT_COMPARED), NOT_COMPARED.get(name, found)
