"""`python3 -m kernels.int8_linear.benchmark`: milliseconds per implementation and number of rows.

The matrices are those of GPT-Talker's six blocks. One thread, medians, one JSON object per line.
"""

import json
import statistics
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels.panels import multiply, scaled_panels
from kernels.processor import has_bf16
from kernels.quantising import quantise

_SHAPES = [(768, 256), (256, 256), (1408, 256), (256, 704)] * 6
_REPEATS = 40


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    linears = [nn.Linear(k, n, bias=False) for n, k in _SHAPES]
    small = [scaled_panels(*quantise(linear.weight.detach())) for linear in linears]
    wide = [linear.weight.detach().bfloat16() for linear in linears]

    def in_32_bits(index: int, x: Tensor) -> Tensor:
        return F.linear(x, linears[index].weight)

    def in_bfloat16(index: int, x: Tensor) -> Tensor:
        return F.linear(x.bfloat16(), wide[index]).float()

    def in_8_bits(index: int, x: Tensor) -> Tensor:
        made = torch.empty(len(x), linears[index].out_features)
        multiply(x.numpy(), *small[index], made.numpy())
        return made

    ways = [("float32", in_32_bits), ("int8", in_8_bits)]
    if has_bf16():
        ways.insert(1, ("bfloat16", in_bfloat16))
    for rows in (1, 2, 4, 8, 16, 64):
        inputs = [torch.randn(rows, k) for _, k in _SHAPES]
        found: dict[str, float] = {"rows": rows}
        for name, way in ways:
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
