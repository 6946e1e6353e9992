"""Every tolerance, named once. They are never loosened to make a test pass."""

FLOAT64 = 1e-12
"""Two float64 computations of the same thing, relative."""
FLOAT32 = 1e-6
"""A float32 result against a float64 truth, relative to the largest value."""
PEER = 1e-5
"""Against another library's float32, relative (PyTorch's LSTM)."""
PLACEMENT = 2e-6
"""Parameters of one placement against another after a few steps of SGD: only the order of sums differs."""
BFLOAT16 = 2e-2
"""A forecast with products in bfloat16 against one without, relative to the largest value; its gradient, in norm."""
ROUNDED = 2**-8
"""One rounding to bfloat16, relative: half a unit of its eight bits."""
