"""`python3 -m kernels.int8_linear.benchmark`: milliseconds per implementation and number of rows.

The matrices are those of GPT-Talker's six blocks. One thread, medians, one JSON object per line.
"""

import json
import statistics
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels.int8_linear.linear import Int8Linear, int8_linear

_SHAPES = [(768, 256), (256, 256), (1408, 256), (256, 704)] * 6
_REPEATS = 40


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    linears = [nn.Linear(k, n, bias=False) for n, k in _SHAPES]
    small = [Int8Linear(linear) for linear in linears]

    def in_32_bits(index: int, x: Tensor) -> Tensor:
        return F.linear(x, linears[index].weight)

    def common(index: int, x: Tensor) -> Tensor:
        return F.linear(x.to(small[index].weight.dtype), small[index].weight).float()

    def in_8_bits(index: int, x: Tensor) -> Tensor:
        return int8_linear(x, small[index].weight_int8, small[index].scale, None)

    for rows in (1, 2, 4, 8, 16, 64):
        inputs = [torch.randn(rows, k) for _, k in _SHAPES]
        found: dict[str, float] = {"rows": rows}
        for name, way in (("float32", in_32_bits), ("many", common), ("int8", in_8_bits)):
            times = []
            with torch.inference_mode():
                for _ in range(_REPEATS):
                    begun = time.perf_counter()
                    for index, x in enumerate(inputs):
                        way(index, x)
                    times.append(1000 * (time.perf_counter() - begun))
            found[f"{name}_ms"] = round(statistics.median(times), 3)
        print(json.dumps(found))


if __name__ == "__main__":
    main()
