"""`python3 -m kernels.nucleus.benchmark`: milliseconds by codebook size.

One thread, medians of thread CPU time, one JSON object per line.
"""

import json
import statistics
import time

import torch

from kernels.nucleus import nucleus, nucleus_reference

_REPEATS = 200


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for count in (1024, 2560):
        logits = 2 * torch.randn(count)
        found: dict[str, float] = {"codes": count}
        for name, way in (("reference", nucleus_reference), ("compiled", nucleus)):
            times = []
            for _ in range(_REPEATS):
                begun = time.thread_time()
                way(logits, 0.2, 0.9)
                times.append(1000 * (time.thread_time() - begun))
            found[f"{name}_ms"] = round(statistics.median(times), 4)
        print(json.dumps(found))


if __name__ == "__main__":
    main()
