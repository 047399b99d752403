"""What was read where nobody has written: a stripe of shadow, grain, and what is left of printed lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mnistry.errors import CrowdedError, ImageError
from mnistry.light import LEAST_PAGE_PX, SMALL_PX
from mnistry.readings import Digit, Line

LIKELY, SURE = 0.7, 0.9  # confidence, from which a mark looks like a digit, and from which it is one
CROWD, DIGITS_IN_CROWD = 20, 1 / 3  # so many marks, of which fewer look like digits, are grain or print,
FEW_SURE = 2  # unless so many are surely digits, as in a note,
CROWD_CONTRAST = 50.0  # or they stand out by so many gray levels
STRIPE, MOST_BESIDE = "1", 3  # what a stripe of shadow looks like; marks on its page, at most
STRIPE_WIDTH = 0.67  # of the picture's other side it has, at most
STRIPE_CONTRAST = 70.0  # gray levels: ink that goes from border to border has more


def check_written(
    lines: Sequence[Line], size: tuple[int, int], measure_contrast: Callable[[], float], name: str = ""
) -> None:
    """Raise where what was read is no writing for sure.

    A stripe of shadow is a single 1 from border to border of a picture that is no cutting. Grain and printed
    lines leave many marks, of which few look like digits and next to none surely is one. Both are faint.

    Args:
        lines: what was read, without a pattern.
        size: (height, width) in pixels that its boxes count in.
        measure_contrast: by how many gray levels its ink stands out; asked only where it decides.
        name: what an error calls the picture.

    Raises:
        ImageError: nobody has written there.
    """
    marks = [digit for line in lines for digit in line.digits]
    accepted = [mark for mark in marks if mark.accepted]
    likely = sum(mark.confidence >= LIKELY for mark in marks)
    if len(marks) >= CROWD and likely < DIGITS_IN_CROWD * len(marks):
        if sum(mark.confidence >= SURE for mark in marks) >= FEW_SURE:
            return
        what, least = f"{likely} of {len(marks)} marks look like digits", CROWD_CONTRAST
    elif len(accepted) == 1 and len(marks) <= MOST_BESIDE and _is_stripe(accepted[0], size):
        what, least = "what looks like a 1 goes from border to border", STRIPE_CONTRAST
    else:
        return
    if (contrast := measure_contrast()) < least:
        raise _say(what, contrast, name)


def check_crowd(error: CrowdedError, measure_contrast: Callable[[], float], name: str = "") -> None:
    """Raise where a picture with more marks than a page of digits is blank: all of them are faint.

    Raises:
        ImageError: nobody has written there; it comes from `error`.
    """
    if (contrast := measure_contrast()) < CROWD_CONTRAST:
        raise _say("it is full of small marks", contrast, name) from error


def _say(what: str, contrast: float, name: str) -> ImageError:
    return ImageError(
        f"no ink found in {name or 'the picture'}: {what}, and with a contrast of {contrast:.0f} gray "
        "levels that is grain, printed lines or shadow. Photograph the digits in better light, or crop "
        "the picture to them"
    )


def _is_stripe(mark: Digit, size: tuple[int, int]) -> bool:
    """Return whether a mark goes from border to border of a picture with free space beside it."""
    if mark.label != STRIPE or min(size) * min(1.0, SMALL_PX / max(size)) < LEAST_PAGE_PX:
        return False
    x, y, width, height = mark.box
    down = y <= 0 and y + height >= size[0] and width <= STRIPE_WIDTH * size[1]
    across = x <= 0 and x + width >= size[1] and height <= STRIPE_WIDTH * size[0]
    return down or across
