"""`python -m mnistry.cli` is the command `mnistry`."""

from __future__ import annotations

import sys

from mnistry.cli import main

sys.exit(main())
