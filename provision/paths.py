"""Where things are kept: all of it below ``build/``, which git ignores."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
STATE = BUILD / "state"
