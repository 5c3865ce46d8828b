"""How a server logs: lines or JSON, without what says nothing."""

import asyncio
import json
import logging


class _JsonLines(logging.Formatter):
    """Structured logs."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _not_cut_off(record: logging.LogRecord) -> bool:
    """Pages that are still open when the server ends are cut off; that is no error."""
    return not (record.exc_info and record.exc_info[0] is asyncio.CancelledError)


class _OutOfFiles(logging.Filter):
    """asyncio logs a trace for each connection that it cannot accept, thousands a second: a server
    that is short of open files would fill the disk too. One line in ten seconds says as much."""

    def __init__(self) -> None:
        super().__init__()
        self._said: float | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name != "asyncio" or "out of system resource" not in str(record.msg):
            return True
        if self._said is not None and record.created - self._said < 10:
            return False
        self._said = record.created
        record.msg = (
            "connections cannot be accepted: too many files are open; raise the limit (ulimit -n)"
        )
        record.args, record.exc_info = (), None
        return True


def log_to_stderr(as_json: bool) -> None:
    """Logs to the standard error, a line or a JSON object an event."""
    handler = logging.StreamHandler()
    handler.addFilter(_not_cut_off)
    handler.addFilter(_OutOfFiles())
    handler.setFormatter(
        _JsonLines() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for chatty in ("httpx", "faster_whisper"):  # a line for each request, each utterance
        logging.getLogger(chatty).setLevel(logging.WARNING)
