"""What the Image Pixel Module says about the pixel data (PS3.3 C.7.6.3)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """Shape and sample layout of every frame of one instance.

    `number_of_frames` is what the header declares (1 if it declares nothing); the frames that are really there are
    counted by `frames.FrameTable`.
    """

    rows: int
    columns: int
    samples_per_pixel: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    pixel_representation: int
    photometric_interpretation: str
    planar_configuration: int
    number_of_frames: int
    keyword: str  # PixelData | FloatPixelData | DoubleFloatPixelData
    value_representation: str = "OB"  # of the pixel data; 8-bit samples in big-endian OW are swapped pairs (PS3.5 A.3)

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame in Explicit VR Little Endian, before any padding."""
        return -(-self.rows * self.columns * self.samples_per_pixel * self.bits_allocated // 8)
