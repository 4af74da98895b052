"""From a photograph to a detected, aligned crop; the 3-D face shape."""
