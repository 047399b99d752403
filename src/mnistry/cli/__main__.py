"""`python -m mnistry.cli` is the command `mnistry`."""

from __future__ import annotations

import gc
import sys

from mnistry.cli import main


def run() -> int:
    """`main` for a process that does nothing else: its exit code."""
    code = main()
    # At its end the interpreter would search all objects of Keras and JAX for cycles, most of a second.
    gc.freeze()
    return code


if __name__ == "__main__":
    sys.exit(run())
