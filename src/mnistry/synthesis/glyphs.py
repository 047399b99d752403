"""Shapes that can be written at any size with any pen.

A 28 x 28 digit or a drawing of a few pixels has no outline to enlarge, so each shape becomes two fields of
distances on a fine grid: to its outline (negative inside) and to its spine, the middle line of its strokes.
A pen of any width is a level of one of them, and enlarged they stay smooth where gray levels would show their
pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FINE = 3  # grid points a pixel of a 28 x 28 image
MARGIN_PX = 4  # room for wide pens around the 28 x 28 pixels
GRID = (28 + 2 * MARGIN_PX) * FINE
DIGIT_GRID = 20 * FINE  # the longer side of an MNIST digit, on the grid
OUTLINE_LEVEL = 76  # gray level at which the strokes of an enlarged MNIST digit keep their width
SMOOTH = 1.2  # standard deviation, in grid points, of the smoothing that hides the grid
# A loop has run full where a shape is so many times as deep as half its strokes are wide, and so deep.
FILLED_RATIO, FILLED_POINTS = 1.7, 5.5
FAR = float(GRID)
_STACK = 160  # shapes at a time: OpenCV's images end at 32,767 rows

Field = NDArray[np.float32]
Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Glyphs:
    """Shapes as distances on a grid, in grid points.

    Attributes:
        outline: (n, GRID, GRID) float32, distance to the outline, negative inside.
        spine: (n, GRID, GRID) float32, distance to the middle line of the strokes, 0 or more.
        half_widths: (n,) float32, from the middle line to the outline, the median along the strokes.
        filled: (n,) bool, whether a loop may have closed, so that the spine is no longer the shape.
    """

    outline: Field
    spine: Field
    half_widths: Field
    filled: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of shapes."""
        return len(self.outline)

    def take(self, part: slice) -> Glyphs:
        """Return some of the shapes."""
        return Glyphs(self.outline[part], self.spine[part], self.half_widths[part], self.filled[part])

    def replace(self, numbers: NDArray[np.int64], others: Glyphs) -> None:
        """Put other shapes in the place of some, in this object's arrays."""
        for mine, other in zip(vars(self).values(), vars(others).values(), strict=True):
            mine[numbers] = other


def trace_images(images: NDArray[np.uint8]) -> Glyphs:
    """Return the shapes in (n, 28, 28) uint8 images, 255 = ink."""
    masks = np.zeros((len(images), GRID, GRID), np.uint8)
    inner = slice(MARGIN_PX * FINE, GRID - MARGIN_PX * FINE)
    for mask, image in zip(masks, images, strict=True):
        fine = cv2.resize(image, (28 * FINE, 28 * FINE), interpolation=cv2.INTER_CUBIC)
        mask[inner, inner] = cv2.GaussianBlur(fine, (0, 0), SMOOTH) > OUTLINE_LEVEL
    return trace_masks(masks)


def trace_masks(masks: Mask) -> Glyphs:
    """Return the shapes where (n, GRID, GRID) uint8 masks are not 0; a margin of 2 points must be free."""
    outline, spine = np.empty(masks.shape, np.float32), np.empty(masks.shape, np.float32)
    for start in range(0, len(masks), _STACK):
        part = slice(start, start + _STACK)
        ink = (masks[part] > 0).astype(np.uint8)
        line = np.zeros_like(ink)
        used = _crop(ink.max(axis=0))  # thinning is the slow part, so leave out the empty margin
        cropped = np.pad(ink[(slice(None), *used)], ((0, 0), (1, 1), (1, 1)))
        thinned = thin(cropped.reshape(-1, cropped.shape[2])).reshape(cropped.shape)
        line[(slice(None), *used)] = thinned[:, 1:-1, 1:-1]
        ink, line = ink.reshape(-1, GRID), line.reshape(-1, GRID)
        outline[part] = (_measure(1 - ink) - _measure(ink)).reshape(-1, GRID, GRID)
        spine[part] = _measure(1 - line).reshape(-1, GRID, GRID)
    half_widths = np.zeros(len(masks), np.float32)
    for number, (near, line) in enumerate(zip(outline, spine, strict=True)):
        if (line == 0).any():
            half_widths[number] = np.median(-near[line == 0])
    deepest = -outline.min(axis=(1, 2))
    for field in (*outline, *spine):
        cv2.GaussianBlur(field, (0, 0), SMOOTH, dst=field)
    # Smoothing lifts the bottom of the valley around the spine to 0.8 standard deviations, and its sides less
    # and less; with cubes that is undone to within 0.13 grid points.
    spine = np.cbrt(np.maximum(spine**3 - np.float32(0.8 * SMOOTH) ** 3, 0))
    filled = deepest > np.maximum(FILLED_RATIO * half_widths, FILLED_POINTS)
    return Glyphs(outline, spine, half_widths, filled)


def _crop(used: Mask) -> tuple[slice, slice]:
    """Return the rows and columns of the smallest box around what is not 0."""
    rows, columns = np.flatnonzero(used.any(axis=1)), np.flatnonzero(used.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _measure(mask: Mask) -> Field:
    """Return the distance of every point of `mask` to the nearest one outside, 0 outside."""
    return np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)


def draw(
    field: Field, to_grid: NDArray[np.float64], shape: tuple[int, int], warp: Field | None = None
) -> Field:
    """Return the distances as seen by a picture, (height, width) float32 in grid points.

    Args:
        field: (GRID, GRID) float32, one field of a Glyphs.
        to_grid: (2, 3) float64, (x, y, 1) of the picture -> (x, y) on the grid.
        shape: height and width of the picture in pixels.
        warp: (2, k, k) float32, displacements in x and y in grid points, spread over the picture.
    """
    height, width = shape
    flags = cv2.INTER_LINEAR if warp is not None else cv2.INTER_CUBIC
    if warp is None:
        return np.asarray(
            cv2.warpAffine(
                field, to_grid, (width, height), flags=flags | cv2.WARP_INVERSE_MAP, borderValue=FAR
            ),
            np.float32,
        )
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    move_x, move_y = (cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC) for part in warp)
    (a, b, c), (d, e, f) = to_grid.astype(np.float32)
    return np.asarray(
        cv2.remap(
            field,
            a * columns + b * rows + c + move_x,
            d * columns + e * rows + f + move_y,
            flags,
            borderValue=FAR,
        ),
        np.float32,
    )


def _removable(second: bool) -> NDArray[np.uint8]:
    """Return, for the 256 neighbourhoods of a pixel, 1 where thinning may take it away in this half step."""
    table = np.zeros(256, np.uint8)
    for code in range(256):
        ring = [code >> bit & 1 for bit in range(8)]  # clockwise from the top
        steps = sum(not ring[k] and ring[(k + 1) % 8] for k in range(8))
        top, right, down, left = ring[0], ring[2], ring[4], ring[6]
        if second:
            free = not (top and right and left) and not (top and down and left)
        else:
            free = not (top and right and down) and not (right and down and left)
        table[code] = 2 <= sum(ring) <= 6 and steps == 1 and free
    return table


_REMOVABLE = (_removable(False), _removable(True))
_RING = np.array([[128, 1, 2], [64, 0, 4], [32, 16, 8]], np.float32)


def thin(mask: Mask) -> Mask:
    """Return the middle lines, one pixel wide, of a mask of 0 and 1 (Zhang and Suen 1984).

    A dot, which that method may take away, leaves a pixel.
    """
    line = mask.copy()
    changed = True
    while changed:
        changed = False
        for table in _REMOVABLE:
            code = cv2.filter2D(line, cv2.CV_8U, _RING, borderType=cv2.BORDER_CONSTANT)
            remove = np.asarray(cv2.LUT(code, table), np.uint8) & line
            if remove.any():
                line -= remove
                changed = True
    count, labels, _, centres = cv2.connectedComponentsWithStats(mask)
    gone = np.ones(count, np.bool_)
    gone[labels[line > 0]] = False
    gone[0] = False  # the ground
    columns, rows = np.rint(centres[gone]).astype(int).T
    line[rows, columns] = mask[rows, columns]
    return line
