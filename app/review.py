"""`launch.py build review DIR`: a page for manual review of a build's dialogues.

Listening, correcting texts and speakers, accepting and rejecting. Decisions are stored by
`data.ncssd.review`; this file has only the widgets.
"""

from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI

from app.access import Access, AccessSettings, check_port, door
from app.metrics import Metrics
from app.security_headers import SecurityHeaders
from app.ui.escaping import markdown_text
from data.audio import SAMPLE_RATE
from data.audio.pcm import to_int16
from data.errors import InputError, RepError
from data.ncssd.review import Decision, Review

HEADERS = ["turn", "speaker", "start", "end", "overlap", "confidence", "text"]
_WIDTHS: list[str | int] = ["7%", "9%", "9%", "9%", "9%", "11%", "46%"]
_PAUSE_S = 0.25


def serve(folder: Path, host: str, port: int, auth: str, no_auth: bool) -> None:
    """Serves the review page of a build until Ctrl-C."""
    access = door(host, auth, no_auth=no_auth, program="the review page")
    app = create_app(Review(folder), access)
    check_port(host, port)
    import uvicorn

    print(f"the review page is at http://{host}:{port}/  (Ctrl-C to stop)")
    uvicorn.run(app, host=host, port=port, log_config=None, access_log=False)


def create_app(review: Review, access: AccessSettings | None = None) -> FastAPI:
    """The page behind the same access control as the chat's."""
    from app.ui.guard import mount_page  # brings Gradio, which takes seconds

    app = FastAPI(title="Review", docs_url=None, redoc_url=None, openapi_url=None)
    mount_page(app, create_page(review))
    app.add_middleware(Access, settings=access or AccessSettings(), metrics=Metrics())
    app.add_middleware(SecurityHeaders)
    return app


def create_page(review: Review) -> Any:
    """The page (a gradio.Blocks) of a review."""
    import gradio as gr

    with gr.Blocks(title="Review of dialogues") as page:
        gr.Markdown("# Review of dialogues")
        tally = gr.Markdown(_tally(review))
        chosen = gr.Dropdown(
            [(f"{name} (two people: {review.chances[name]:.2f})", name) for name in review.ids],
            value=next(iter(review.ids), None),
            label="Dialogue, the least certain pair of speakers first",
        )
        sound = gr.Audio(label="All turns, one after the other", interactive=False)
        table = gr.Dataframe(
            headers=HEADERS, column_widths=_WIDTHS, interactive=True, wrap=True, label="Turns"
        )
        with gr.Row():
            accept = gr.Button("Accept", variant="primary")
            reject = gr.Button("Reject", variant="stop")
            later = gr.Button("Keep as open")
        note = gr.Markdown()
        export = gr.Button("Export what was accepted")

        shown: list[Any] = [sound, table, note]
        page.load(lambda name: show(review, name), chosen, shown)
        chosen.change(lambda name: show(review, name), chosen, shown)
        for button, verdict in ((accept, "accepted"), (reject, "rejected"), (later, "open")):
            button.click(
                lambda name, rows, verdict=verdict: keep(review, name, rows, verdict),
                [chosen, table],
                [chosen, tally, note],
            )
        export.click(lambda: _exported(review), None, note)
    return page


def _exported(review: Review) -> str:
    try:
        return f"Written to {markdown_text(str(review.export()))}."
    except RepError as error:
        return f"**Not written:** {markdown_text(str(error))}"


def show(
    review: Review, name: str | None
) -> tuple[tuple[int, np.ndarray] | None, list[list[Any]], str]:
    """A dialogue's audio, turns and verdict for the page."""
    if not name:
        return None, [], "The build has no dialogue."
    dialogue = review.dialogue(name)
    pause = np.zeros(round(_PAUSE_S * SAMPLE_RATE), np.float32)
    pieces: list[np.ndarray] = []
    for turn in dialogue.turns:
        samples = turn.load()
        pieces += [samples if samples is not None else pause, pause]
    rows = [
        [
            index,
            turn.speaker,
            *(turn.extra.get(key) for key in ("start", "end", "overlap", "confidence")),
            turn.text,
        ]
        for index, turn in enumerate(dialogue.turns)
    ]
    sound = to_int16(np.concatenate(pieces))
    return (SAMPLE_RATE, sound), rows, _verdict(review, name)


def keep(review: Review, name: str | None, rows: Any, verdict: str) -> tuple[str | None, str, str]:
    """Stores the decision and moves on to the next open dialogue."""
    if not name:
        return name, _tally(review), "The build has no dialogue."
    try:
        review.decide(changes(review, name, _rows(rows), verdict))
    except RepError as error:
        return name, _tally(review), f"**Not kept:** {markdown_text(str(error))}"
    left = [other for other in review.ids if review.decision(other).verdict == "open"]
    after = [other for other in left if review.ids.index(other) > review.ids.index(name)]
    following = next(iter([*after, *left]), name)
    return following, _tally(review), f"Kept: {name} is {verdict}."


def changes(review: Review, name: str, rows: list[list[Any]], verdict: str) -> Decision:
    """The decision expressed by the edited table.

    Raises:
        InputError: a cell is not a turn or speaker number.
    """
    before = review.dialogue(name).turns
    decision = review.decision(name)
    texts, speakers = dict(decision.texts), dict(decision.speakers)
    for row in rows:
        try:
            index, speaker, text = int(row[0]), int(row[1]), str(row[-1])
        except (TypeError, ValueError):
            raise InputError(f"row {row!r:.60}: the turn and the speaker must be numbers") from None
        if not 0 <= index < len(before):
            raise InputError(f"there is no turn {index}; leave the column 'turn' as it is")
        if text != before[index].text:
            texts[index] = text
        if speaker != before[index].speaker:
            speakers[index] = speaker
    return Decision(name, verdict, texts, speakers)


def _rows(table: Any) -> list[list[Any]]:
    """Rows of Gradio's data frame, or of lists."""
    return table.values.tolist() if hasattr(table, "values") else list(table)


def _verdict(review: Review, name: str) -> str:
    """The verdict, with any earlier decision on other turns."""
    former = review.former(name)
    if former is None:
        return f"Verdict: {review.decision(name).verdict}"
    mended = [
        f"turn {index}: {markdown_text(text)}" for index, text in sorted(former.texts.items())
    ]
    mended += [f"turn {index}: speaker {who}" for index, who in sorted(former.speakers.items())]
    lines = [f"Verdict: open. It was {former.verdict} when an earlier build gave it other turns."]
    return "\n\n".join([*lines, *(["Earlier corrections:", *mended] if mended else [])])


def _tally(review: Review) -> str:
    counts = ", ".join(f"{number} {verdict}" for verdict, number in review.counts().items())
    outdated = len(review.outdated())
    if not outdated:
        return counts
    return (
        f"{counts}. Decided on only with other turns, of an earlier build: {outdated}; those "
        "decisions stay in `review.jsonl` and are not applied."
    )
