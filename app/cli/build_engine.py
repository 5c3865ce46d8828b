"""The engine and the devices of `launch.py build`."""

import argparse
import contextlib
import dataclasses
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from data.device import check_whisper_device, find_device
from data.errors import InputError
from data.ncssd.config import BuildConfig

if TYPE_CHECKING:
    from data.ncssd.engine import Engine


def with_devices(config: BuildConfig, name: str, engine: str) -> BuildConfig:
    """The settings with the device of the networks; Ray assigns GPUs itself, of other machines
    too, and its workers check that they have them.

    Raises:
        InputError: the name is unknown, or there is no such device.
    """
    if engine == "ray":
        if name not in ("cpu", "cuda"):
            raise InputError(f"--device {name}: with --engine ray, choose cpu or cuda")
        return dataclasses.replace(config, device=name)
    check_whisper_device(config.recognise.device)
    return dataclasses.replace(config, device=find_device(name))


@contextlib.contextmanager
def make_engine(arguments: argparse.Namespace, config: BuildConfig) -> "Iterator[Engine]":
    """What runs the stages: this process, a pool, or Ray."""
    from data.ncssd.engine import Pool, Serial

    if arguments.engine == "ray":
        from data.ncssd.ray_engine import RayEngine

        gpu = any(name.startswith("cuda") for name in (config.device, config.recognise.device))
        with contextlib.closing(RayEngine(arguments.workers, arguments.ray_address, gpu)) as ray:
            yield ray
        return
    workers = (os.cpu_count() or 1) if arguments.workers is None else arguments.workers
    yield Serial() if workers == 1 else Pool(workers)
