"""`python3 -m kernels.depthwise_norm.benchmark`: milliseconds by batch size and frames.

One thread, medians of thread CPU time, one JSON object per line.
"""

import json
import statistics
import time

import torch

from kernels.depthwise_norm import depthwise_norm, depthwise_norm_reference

_DIM, _TAPS, _REPEATS = 320, 7, 60


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    weight, bias = torch.randn(_DIM, 1, _TAPS), torch.randn(_DIM)
    for batch, frames in ((1, 8), (1, 64), (8, 64)):
        x = torch.randn(batch, _TAPS - 1 + frames, _DIM)
        scale, shift = torch.randn(2, batch, _DIM)
        found: dict[str, float] = {"batch": batch, "frames": frames}
        for name, way in (("reference", depthwise_norm_reference), ("compiled", depthwise_norm)):
            times = []
            with torch.inference_mode():
                for _ in range(_REPEATS):
                    begun = time.thread_time()
                    way(x, weight, bias, scale, shift)
                    times.append(1000 * (time.thread_time() - begun))
            found[f"{name}_ms"] = round(statistics.median(times), 4)
        print(json.dumps(found))


if __name__ == "__main__":
    main()
