"""`python3 -m kernels.packed_linear.benchmark`: milliseconds of a layer by rows.

The layer is the first of the decoder's ConvNeXt blocks. One thread, medians of thread CPU time, one
JSON object per line.
"""

import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from kernels.packed_linear import PackedLinear

_SHAPE = (320, 960)
_REPEATS = 60


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    linear = nn.Linear(*_SHAPE)
    packed = PackedLinear(linear)
    for rows in (1, 4, 8, 16, 44, 64, 128, 512):
        x = torch.randn(rows, _SHAPE[0])
        found: dict[str, float] = {"rows": rows}
        found["plain_ms"] = _median_ms(linear, x)
        found["packed_ms"] = _median_ms(packed, x)
        print(json.dumps(found))


def _median_ms(layer: Callable[[Tensor], Tensor], x: Tensor) -> float:
    times = []
    with torch.inference_mode():
        for _ in range(_REPEATS):
            begun = time.thread_time()
            layer(x)
            times.append(1000 * (time.thread_time() - begun))
    return round(statistics.median(times), 3)


if __name__ == "__main__":
    main()
