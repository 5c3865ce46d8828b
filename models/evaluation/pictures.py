"""Plots for the report without a plotting library: spectrograms as PNG, intervals as SVG."""

import base64
import struct
import zlib
from html import escape

import numpy as np
import torch

from models.evaluation.figures import Figure, shown
from models.mel import LogMel

# Anchors of a dark-to-light colour map that also works in greyscale.
_COLOURS = np.array(
    [[10, 10, 40], [70, 20, 110], [170, 45, 100], [235, 110, 50], [250, 190, 60], [255, 250, 200]]
)
_ROW_PX, _LABEL_PX, _PLOT_PX = 26, 330, 380


def png(pixels: np.ndarray) -> bytes:
    """Pixels `[height, width, 3]`, 0 to 255, as a PNG."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    height, width, _ = pixels.shape
    rows = np.concatenate(
        [np.zeros((height, 1), np.uint8), pixels.astype(np.uint8).reshape(height, -1)], axis=1
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows.tobytes(), 9))
        + chunk(b"IEND", b"")
    )


def spectrogram(samples: np.ndarray) -> str:
    """A log-mel spectrogram of samples `[T]` as a data URI."""
    with torch.inference_mode():
        mels = LogMel()(torch.from_numpy(np.ascontiguousarray(samples))[None])[0].numpy()
    low, high = -2.0, max(float(mels.max()), 0.5)
    levels = np.clip((mels.T[::-1] - low) / (high - low), 0, 1) * (len(_COLOURS) - 1)
    below = np.minimum(levels.astype(int), len(_COLOURS) - 2)
    share = (levels - below)[..., None]
    pixels = _COLOURS[below] * (1 - share) + _COLOURS[below + 1] * share
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()


def interval_plot(figures: list[Figure]) -> str:
    """SVG of figures of one unit: intervals, teachers (open circle) and bars (line)."""
    drawn = [figure for figure in figures if figure.num and np.isfinite(figure.value)]
    if not drawn:
        return ""
    ends = [x for f in drawn for x in (f.value, f.low, f.high, f.teacher) if x is not None]
    ends += [x for f in drawn for asked in (f.bar, f.goal) if asked for x in asked.limits]
    finite = [x for x in ends if np.isfinite(x)]
    low, high = min(finite), max(finite)
    margin = 0.06 * (high - low) or 1.0
    low, high = low - margin, high + margin

    def across(value: float) -> float:
        return _LABEL_PX + (value - low) / (high - low) * _PLOT_PX

    parts = [_plot_row(f, row * _ROW_PX + 18, across) for row, f in enumerate(drawn)]
    width, height = _LABEL_PX + _PLOT_PX + 20, len(drawn) * _ROW_PX + 30
    axis = "".join(
        f'<text x="{across(x):.0f}" y="{height - 4}" class="tick">{shown(x)}</text>'
        for x in np.linspace(low, high, 5)
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="figures with intervals">'
        + "".join(parts)
        + axis
        + "</svg>"
    )


def _plot_row(figure: Figure, y: int, across) -> str:
    met = figure.meets_bar
    kind = "plain" if met is None else "good" if met else "bad"
    parts = [f'<text x="{_LABEL_PX - 10}" y="{y + 4}" class="label">{escape(figure.label)}</text>']
    for asked, name in ((figure.goal, "goal"), (figure.bar, "bar")):
        for limit in asked.limits if asked else ():
            x = across(limit)
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 9}" y2="{y + 9}" class="{name}"/>'
            )
    if np.isfinite(figure.low) and np.isfinite(figure.high):
        parts.append(
            f'<line x1="{across(figure.low):.1f}" x2="{across(figure.high):.1f}" '
            f'y1="{y}" y2="{y}" class="interval {kind}"/>'
        )
    if figure.teacher is not None and np.isfinite(figure.teacher):
        parts.append(f'<circle cx="{across(figure.teacher):.1f}" cy="{y}" r="5" class="teacher"/>')
    parts.append(f'<circle cx="{across(figure.value):.1f}" cy="{y}" r="4" class="point {kind}"/>')
    return "".join(parts)
