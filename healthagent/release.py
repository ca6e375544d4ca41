"""Which version this is."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

RELEASE: Final = version("healthagent")
"""Read once: it stands in a file, which cannot be opened while no file descriptor is left."""
