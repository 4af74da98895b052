"""Where the repository lies, and the real faces and weights beside it, which only CI and the authors have."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
