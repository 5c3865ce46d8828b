"""`launch.py serve`: the server of `launch.py chat` without the page."""

from app.cli.chat import run, serving_parser


def main(argv: list[str]) -> int:
    """Serves the HTTP and WebSocket API without the page until Ctrl-C."""
    return run(serving_parser("serve", main.__doc__).parse_args(argv), page=False)
