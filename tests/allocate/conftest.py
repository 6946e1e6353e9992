import pytest
from usages import daily


@pytest.fixture(scope="session")
def crowd():
    """Four workloads of a working day, of different size and noise."""
    return [daily(seed=i, name=f"w-{i}", height=0.5 * 2**i, noise=0.05 + 0.05 * i) for i in range(4)]
