"""What an image file says of itself, looked at before a decoder believes it.

find_format       the first bytes -> its format, whatever the name says
MeteredFile       a file of which a decoder may read only so much, so that none reads for minutes
check_jpeg        JPEG whose scans would take too long, or too much memory, is refused
count_tiff_pages  without reading the pages
"""

from __future__ import annotations

import os
import re
from typing import Any, BinaryIO

from mnistry.errors import ImageError

MAX_FILE_BYTES = 160 * 10**6
MAX_HEADER_BYTES = 16 * 10**6  # of what stands beside the pixels: Exif, profiles, thumbnails
MOST_HEADER_READS = 50_000  # how often a decoder may read before it knows the size of the picture
MOST_READS = 500_000  # and how often in all
MOST_PAGES = 1000  # of a TIFF file
MOST_SEGMENTS = 20_000  # of a JPEG file
MOST_SCANNED = 1_400_000_000  # pixels of a JPEG picture times its scans
MAX_COEFFICIENT_BYTES = 400 * 10**6  # which a JPEG picture with several scans needs in memory at once

# How files of each format begin: (at which byte, with what).
_BEGINNINGS = {
    "PNG": ((0, b"\x89PNG\r\n\x1a\n"),),
    "JPEG": ((0, b"\xff\xd8\xff"),),
    "GIF": ((0, b"GIF87a"), (0, b"GIF89a")),
    "BMP": ((0, b"BM"),),
    "TIFF": tuple((0, start) for start in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"MM*\0", b"II\0*")),
    "WEBP": ((8, b"WEBP"),),
    "AVIF": ((4, b"ftypavif"), (4, b"ftypavis")),
    "HEIF": tuple(
        (4, b"ftyp" + brand)
        for brand in (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
    ),
}
READ_AT_ONCE = ("WEBP", "AVIF", "HEIF")  # whose decoders take the whole file before they look at it

_MARKER = re.compile(rb"\xff([^\x00\xff])")
_END_OF_SCAN = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_ALONE = (0x01, *range(0xD0, 0xD9))  # markers without a length
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9


def find_format(head: bytes) -> str | None:
    """Return Pillow's name for the format of a file that begins with these bytes; None for others."""
    for name, beginnings in _BEGINNINGS.items():
        if any(head.startswith(start, at) for at, start in beginnings):
            return name
    return None


class MeteredFile:
    """An open file, for a decoder: it reads only so often and so much, or ends with an ImageError.

    Decoders go through a file's parts one by one, and some formats allow millions of them.
    """

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        """Let `max_bytes` be read of the file, in at most MOST_HEADER_READS reads."""
        self._file = file
        self._bytes_left = max_bytes
        self._reads_left = MOST_HEADER_READS

    def allow_pixels(self) -> None:
        """Let the decoder go on, from what stands beside the pixels to the pixels."""
        self._bytes_left = 2 * MAX_FILE_BYTES
        self._reads_left = MOST_READS

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes, as those of a file.

        Raises:
            ImageError: that was too often or too much.
        """
        self._reads_left -= 1
        wanted = MAX_FILE_BYTES if size is None or size < 0 else size
        content = self._file.read(min(wanted, self._bytes_left + 1))
        self._bytes_left -= len(content)
        if self._bytes_left < 0 or self._reads_left < 0:
            raise ImageError(
                "it is made of more parts than a picture needs, or holds too much beside its pixels. Open it "
                "in an image editor and save it as a plain PNG or JPEG"
            )
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to another place, as in a file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place, as in a file."""
        return self._file.tell()

    def fileno(self) -> int:
        """Return the number that the system knows the file by, as a file does.

        Raises:
            OSError: it has none.
        """
        return self._file.fileno()


def check_jpeg(file: BinaryIO) -> None:
    """See that a JPEG file can be decoded in reasonable time and memory; leaves the file at its beginning.

    A scan goes over the whole picture and may take a few bytes of the file; pictures with several are held
    in memory as coefficients, two bytes each.

    Raises:
        ImageError: it cannot.
    """
    data = file.read(MAX_FILE_BYTES)
    file.seek(0)
    place, height, width, sampling, scans, several = 2, 0, 0, [(1, 1)], 0, False
    for _ in range(MOST_SEGMENTS):
        marker = (_END_OF_SCAN if scans else _MARKER).search(data, place)
        if marker is None or (kind := marker[1][0]) == _END_OF_IMAGE:
            return
        start = marker.end()
        if kind in _ALONE:
            place = start
            continue
        body = data[start + 2 : start + 2 + 64]
        place = start + int.from_bytes(data[start : start + 2], "big")
        if kind in _FRAMES and not scans and len(body) >= 6:
            several = kind in _PROGRESSIVE
            height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
            factors = body[7 : 6 + 3 * body[5] : 3]
            sampling = [(factor >> 4, factor & 15) for factor in factors] or sampling
        elif kind == _START_OF_SCAN:
            scans += 1
            several = several or (len(body) > 0 and body[0] < len(sampling))
            if not several:
                return  # decoded in one go
            _check_scans(height, width, sampling, scans)
    raise ImageError(
        f"it has more than {MOST_SEGMENTS:,} segments, which no camera makes. Open it in an image editor and "
        "save it again"
    )


def _check_scans(height: int, width: int, sampling: list[tuple[int, int]], scans: int) -> None:
    largest = max(1, max(across for across, _ in sampling)) * max(1, max(down for _, down in sampling))
    coefficients = 2 * height * width * sum(across * down for across, down in sampling) // largest
    if coefficients > MAX_COEFFICIENT_BYTES:
        raise ImageError(
            f"it is too large: {height} x {width} pixels in a JPEG file that is not decoded line by line "
            f"(progressive), which needs {coefficients:,} bytes of memory; at most "
            f"{MAX_COEFFICIENT_BYTES:,} are used. Make it smaller first, or save it as baseline JPEG"
        )
    if scans * height * width > MOST_SCANNED:
        raise ImageError(
            f"it is too large: {height} x {width} pixels in {scans} scans or more, together more than "
            f"{MOST_SCANNED:,} pixels. Make it smaller first, or save it as baseline JPEG"
        )


def count_tiff_pages(file: BinaryIO) -> int:
    """Return how many pages a TIFF file has, at most MOST_PAGES; those after a damaged one do not count."""
    head = file.read(16)
    order: Any = "little" if head[:2] == b"II" else "big"
    big = b"+" in head[2:4]  # BigTIFF, with 8 bytes to a place
    word, entry, count_bytes = (8, 20, 8) if big else (4, 12, 2)
    place = int.from_bytes(head[8:16] if big else head[4:8], order)
    seen: set[int] = set()
    while place and place not in seen and place < 2**62 and len(seen) < MOST_PAGES:
        file.seek(place)
        count = file.read(count_bytes)
        if len(count) < count_bytes:
            break
        seen.add(place)
        after = place + count_bytes + entry * int.from_bytes(count, order)
        if after >= 2**62:
            break
        file.seek(after)
        following = file.read(word)
        place = int.from_bytes(following, order) if len(following) == word else 0
    return max(1, len(seen))
