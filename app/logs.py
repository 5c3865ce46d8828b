"""Server logging as text or JSON, with noise filtered out."""

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
    """Drops errors about pages still open at shutdown."""
    return not (record.exc_info and record.exc_info[0] is asyncio.CancelledError)


class _OutOfFiles(logging.Filter):
    """Rate-limits asyncio's traceback for each connection that cannot be accepted to one line in
    ten seconds; thousands per second would fill the disk when the server is out of file
    descriptors."""

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
    """Logs to stderr, one line or JSON object per event."""
    handler = logging.StreamHandler()
    handler.addFilter(_not_cut_off)
    handler.addFilter(_OutOfFiles())
    handler.setFormatter(
        _JsonLines() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for chatty in ("httpx", "faster_whisper", "aioice"):  # one line per request or utterance
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("aiortc").setLevel(logging.ERROR)  # it warns of each packet of a bad client
