"""The independent reading of proto/ (tests/proto/pbref.py)."""
import os
import sys

from harness.cluster import ROOT

sys.path.insert(0, os.path.join(ROOT, "tests", "proto"))

import pbref  # noqa: E402

__all__ = ["pbref"]
