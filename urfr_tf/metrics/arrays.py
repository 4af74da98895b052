"""Types of the arrays that metrics, protocols and evaluation give each other."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""Of any type of elements."""
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Float32s = NDArray[np.float32]
Float64s = NDArray[np.float64]
Floats = Float32s | Float64s
Names = NDArray[np.str_]
Labels = Ints | Names
"""Who is on an image: a number or a name."""
