"""SVG figures for the report: histograms and timelines of turns."""

import html

import numpy as np

_COLOURS = ("#3b6fb6", "#d1743c", "#4b9a5f")


def histogram(
    values: list[float],
    title: str,
    unit: str,
    num_bins: int = 24,
    others: tuple[tuple[str, list[float]], ...] = (),
) -> str:
    """An SVG histogram from the 1st to the 99th percentile, with the median.

    The distributions of `others`, up to two other sets' names and values, are overlaid as lines.
    """
    finite = np.array([v for v in values if v is not None and np.isfinite(v)], np.float64)
    head = f"<figcaption>{html.escape(title)}"
    if finite.size == 0:
        return f"<figure>{head}: nothing measured</figcaption></figure>"
    low, high = np.quantile(finite, [0.01, 0.99])
    high = high if high > low else low + 1.0
    counts, edges = np.histogram(np.clip(finite, low, high), num_bins, (low, high))
    width, height = 320, 90
    step = width / num_bins
    bars = "".join(
        f'<rect x="{i * step:.1f}" y="{height - height * c / counts.max():.1f}" '
        f'width="{step - 1:.1f}" height="{height * c / counts.max():.1f}">'
        f"<title>{edges[i]:.2f} to {edges[i + 1]:.2f} {unit}: {c}</title></rect>"
        for i, c in enumerate(counts.tolist())
    )
    median = float(np.median(finite))
    lines, legend = "", ""
    for (name, found), colour in zip(others, _COLOURS[1:], strict=False):
        lines += _outline(found, edges, counts.max() / finite.size, width, height, colour)
        known = f"{float(np.median(found)):.2f} {unit}".strip() if found else "not known"
        legend += f'; <span style="color:{colour}">{html.escape(name)}: {known}</span>'
    return (
        f"<figure>{head}, median {f'{median:.2f} {unit}'.strip()}{legend}</figcaption>"
        f'<svg viewBox="0 0 {width} {height + 16}" role="img" '
        f'aria-label="{html.escape(title)}"><g fill="{_COLOURS[0]}">{bars}</g>{lines}'
        f'<text x="0" y="{height + 13}">{low:.2f}</text>'
        f'<text x="{width}" y="{height + 13}" text-anchor="end">{high:.2f} {unit}</text>'
        "</svg></figure>"
    )


def _outline(
    values: list[float], edges: np.ndarray, top: float, width: int, height: int, colour: str
) -> str:
    """A line over the bars with the fraction of values in each bin; full height is `top`."""
    if not values:
        return ""
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    heights = height - height * np.minimum(counts / len(values) / top, 1.0)
    step = width / counts.shape[0]
    points = " ".join(f"{(i + 0.5) * step:.1f},{y:.1f}" for i, y in enumerate(heights))
    return f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>'


def turn_lines(turns: list[dict], start: float, end: float) -> str:
    """An SVG timeline with one lane per speaker."""
    width, row = 900, 22
    scale = width / max(1e-3, end - start)
    bars = "".join(
        f'<rect x="{(t["start"] - start) * scale:.1f}" y="{t["speaker"] * row + 2}" '
        f'width="{max(1.5, (t["end"] - t["start"]) * scale):.1f}" height="{row - 4}" rx="2" '
        f'fill="{_COLOURS[t["speaker"] % 2]}" fill-opacity="{0.6 if t.get("overlap") else 1}">'
        f"<title>{t['start'] - start:.2f} to {t['end'] - start:.2f} s: "
        f"{html.escape(t.get('text') or '')}</title></rect>"
        for t in turns
    )
    return (
        f'<svg class="turns" viewBox="0 0 {width} {2 * row + 14}" role="img" '
        f'aria-label="who speaks when">{bars}'
        f'<text x="0" y="{2 * row + 12}">0 s</text><text x="{width}" y="{2 * row + 12}" '
        f'text-anchor="end">{end - start:.0f} s</text></svg>'
    )
