"""`python -m mnistry`, the same as `mnistry`."""

import sys

from mnistry.cli.__main__ import run

if __name__ == "__main__":
    sys.exit(run())
