"""`launch.py chat`: the page and its server; `launch.py serve`: the server without the page."""

import argparse
import asyncio
import json
import logging
import os
import sys
import threading
import time
import webbrowser
from pathlib import Path

from app.access import AccessSettings, check_port, door, is_loopback
from app.chat_endpoint import ChatEndpoint
from app.discovery import PORTS, FoundModel, find_language_models
from app.hearing import MOST_PATIENT_MS, SEMANTIC, SERVER, HearingSettings
from app.hub import Engines, HubSettings
from app.memory import few_heaps, keep_for_good
from app.replies import CONTEXT_TOKENS, SPEECH_TO_SPEECH, Briefing, Responder, checked_prompt
from app.scripted import ScriptedResponder
from app.settings import SessionSettings
from app.turn_ending import TurnJudge
from app.voice_activity import DETECTORS
from data.errors import InputError, MissingModelError
from data.recognition.endpoint import KEY_VARIABLE, EndpointRecognizer
from data.recognition.local import local_recognizer
from data.recognition.recognizer import Recognizer
from data.recognition.smart_turn import SmartTurn
from data.recognition.smart_turn_weights import find_smart_turn
from data.recognition.sphinx import SphinxRecognizer

logger = logging.getLogger(__name__)

_LEAST_CONTEXT = 256


def main(argv: list[str]) -> int:
    """Serves the page until Ctrl-C."""
    return _run(_parser("chat").parse_args(argv), page=True)


def main_serve(argv: list[str]) -> int:
    """Serves the HTTP and WebSocket routes, without the page, until Ctrl-C."""
    return _run(_parser("serve").parse_args(argv), page=False)


def _parser(verb: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"launch.py {verb}", description=main.__doc__ if verb == "chat" else main_serve.__doc__
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to bind to (default: this machine only)")
    add("--port", type=int, default=7860)
    add("--auth", default="", metavar="USER:PASSWORD", help="asked of page, HTTP and WebSocket")
    add("--token", default="", help="bearer token for the same; a page takes it as ?token=")
    add("--no-auth", action="store_true", help="with --host: everybody may come in")
    add(
        "--allow-origin",
        action="append",
        default=[],
        metavar="URL",
        help="origin of another page that may use HTTP and WebSocket, as https://example.org",
    )
    add("--ssl-keyfile", type=Path, help="with --ssl-certfile: serve HTTPS")
    add("--ssl-certfile", type=Path)
    add(
        "--llm-base-url",
        default="",
        help="an OpenAI-compatible endpoint, up to /v1 (default: a language model that is found "
        "running on this machine)",
    )
    add("--llm-model", default="", help="the model's name there; its key: LLM_API_KEY")
    add(
        "--llm-context",
        type=int,
        default=CONTEXT_TOKENS,
        metavar="TOKENS",
        help=f"of the conversation that it is told, oldest turns left out ({CONTEXT_TOKENS})",
    )
    add("--system-prompt", default="", help="what it is told first (default: to speak briefly)")
    add(
        "--asr",
        choices=("auto", "whisper", "pocketsphinx", "endpoint"),
        default="auto",
        help="who recognises speech; auto: Whisper, or pocketsphinx where it cannot be had",
    )
    add("--asr-base-url", default="", help="an OpenAI-compatible transcription endpoint")
    add(
        "--asr-model",
        default="",
        help="Whisper's: a folder or a name such as small (default: base); or the endpoint's, its "
        "key: ASR_API_KEY",
    )
    add("--asr-language", choices=("en", "zh"), help="what is spoken (default: found anew)")
    add("--voice", default="", help="the agent's voice at first (default: the first)")
    add(
        "--turn-detection",
        choices=("auto", SEMANTIC, SERVER),
        default="auto",
        help="what ends a turn: semantic_vad, how finished it sounds, or server_vad, a silence; "
        "auto: semantic_vad where Smart Turn's weights are there",
    )
    add("--eagerness", choices=tuple(MOST_PATIENT_MS), default="auto", help="of semantic_vad")
    add("--silence-ms", type=int, default=500, help="silence that ends a turn by server_vad")
    add("--vad", choices=DETECTORS, default=DETECTORS[0], help="who tells speech from other sound")
    add("--max-sessions", type=int, default=8, help="conversations at once")
    add("--idle-minutes", type=float, default=10.0)
    add("--weights", type=Path, help="a folder of models instead of the bundled ones")
    add("--device", default="cpu")
    add("--log-json", action="store_true", help="a JSON object a line")
    if verb == "chat":
        add("--no-browser", action="store_true", help="do not open a browser")
    return parser


def _run(args: argparse.Namespace, page: bool) -> int:
    import uvicorn

    from app.server import SOCKET_OPTIONS, ServerSettings, create_app

    _log(args.log_json)
    few_heaps()
    access = access_settings(args)
    hub_settings(args)  # what is wrong with the command line is said before models load
    _check_tls(args)
    check_port(args.host, args.port)
    engines = _engines(args)
    settings = ServerSettings(access, hub_settings(args, engines.judge is not None), page)
    scheme = "https" if args.ssl_certfile else "http"
    shown = "localhost" if is_loopback(args.host) else args.host
    url = f"{scheme}://{shown}:{args.port}/"
    config = uvicorn.Config(
        create_app(engines, settings),
        host=args.host,
        port=args.port,
        log_config=None,
        access_log=False,
        ssl_keyfile=args.ssl_keyfile,
        ssl_certfile=args.ssl_certfile,
        timeout_graceful_shutdown=2,
        **SOCKET_OPTIONS,
    )
    server = uvicorn.Server(config)
    _warm(engines)
    keep_for_good()
    print(f"Repartee listens at {url}  (Ctrl-C ends it)", file=sys.stderr)
    if page and not is_loopback(args.host) and not args.ssl_certfile:
        print(
            "Browsers give a page the microphone only over HTTPS or on localhost: "
            "add --ssl-keyfile and --ssl-certfile, or type instead of talking.",
            file=sys.stderr,
        )
    if page and not args.no_browser:
        threading.Thread(target=_open_browser, args=(server, url), daemon=True).start()
    try:
        server.run()
    finally:
        engines.recognizer.close()
    return 0


def access_settings(args: argparse.Namespace) -> AccessSettings:
    """The door, from the command line."""
    return door(args.host, args.auth, args.token, args.no_auth, tuple(args.allow_origin))


def hub_settings(args: argparse.Namespace, can_judge: bool = False) -> HubSettings:
    """Limits and a new conversation's settings, from the command line.

    Args:
        args: the command line.
        can_judge: whether there is somebody to judge the ends of turns.
    """
    if args.max_sessions < 1:
        raise InputError(f"--max-sessions is {args.max_sessions}; give 1 or more")
    hearing = HearingSettings(
        vad=args.vad,
        silence_ms=args.silence_ms,
        detection=SEMANTIC if can_judge and args.turn_detection != SERVER else SERVER,
        eagerness=args.eagerness,
    )
    briefing = None
    if args.system_prompt:
        briefing = Briefing(system_prompt=checked_prompt(args.system_prompt))
    session = SessionSettings(voice=args.voice, hearing=hearing, briefing=briefing)
    return HubSettings(args.max_sessions, idle_s=args.idle_minutes * 60, session=session)


def _engines(args: argparse.Namespace) -> Engines:
    from app.omni import OmniResponder
    from app.voices import load_speaker

    speaker, store = load_speaker(args.weights, args.device)
    if args.voice and args.voice not in store.voices:
        raise InputError(f"--voice is {args.voice!r}; choose one of {', '.join(store.voices)}")
    responders = _responders(args)
    responders[SPEECH_TO_SPEECH] = OmniResponder(speaker, args.weights)
    judge, caveat = _judge(args.turn_detection == SEMANTIC)
    return Engines(store, _recognizer(args), responders, judge, caveat)


def _judge(must_be: bool) -> tuple[TurnJudge | None, str]:
    """Who judges the ends of turns, or why nobody does.

    Raises:
        MissingModelError: somebody must, and cannot be had.
    """
    try:
        return TurnJudge(SmartTurn(find_smart_turn())), ""
    except MissingModelError as error:
        if must_be:
            raise
        caveat = f"A turn ends after a fixed silence: {error}."
        logger.warning(caveat)
        return None, caveat


def _recognizer(args: argparse.Namespace) -> Recognizer:
    if args.asr == "endpoint":
        if not args.asr_base_url or not args.asr_model:
            raise InputError("--asr endpoint needs --asr-base-url and --asr-model")
        return EndpointRecognizer(
            args.asr_base_url, args.asr_model, os.environ.get(KEY_VARIABLE, "")
        )
    return local_recognizer(args.asr, args.asr_model, args.asr_language)


def _responders(args: argparse.Namespace) -> dict[str, Responder]:
    found: dict[str, Responder] = {}
    tokens = args.llm_context
    if tokens < _LEAST_CONTEXT:
        raise InputError(f"--llm-context is {tokens}; give {_LEAST_CONTEXT} tokens or more")
    if args.llm_base_url:
        if not args.llm_model:
            raise InputError("--llm-base-url needs --llm-model, the model's name at that endpoint")
        key = os.environ.get("LLM_API_KEY") or os.environ.get("OPENAI_API_KEY", "")
        found[args.llm_model] = ChatEndpoint(
            args.llm_base_url, args.llm_model, key, context_tokens=tokens
        )
    else:
        for model in _discovered(args.port):
            responder = ChatEndpoint(model.base_url, model.name, context_tokens=tokens)
            found[f"{model.name} ({model.server})"] = responder
    found["built-in"] = ScriptedResponder(introduces=not found)
    return found


def _discovered(own_port: int) -> list[FoundModel]:
    """The language models of this machine; says what was found."""
    models = find_language_models({p: name for p, name in PORTS.items() if p != own_port})
    if models:
        names = ", ".join(f"{one.name} ({one.server})" for one in models)
        logger.info("language models on this machine: %s; the first one answers", names)
    else:
        logger.warning(
            "no language model runs on this machine (%s were looked for), so a short script "
            "answers; start one, or give --llm-base-url",
            ", ".join(PORTS.values()),
        )
    return models


def _warm(engines: Engines) -> None:
    """The first reply of a process is slower than the others: it is not the visitor's."""
    from models.speaker import SpeakOptions

    if isinstance(engines.recognizer, SphinxRecognizer):
        engines.recognizer.wait_ready()
    speaker = engines.speaker
    voice = next(iter(speaker.voices.values()))
    reply = speaker.speak(speaker.open_dialogue(), "Ready.", voice, SpeakOptions(seed=0))
    for _ in reply:
        pass


def _check_tls(args: argparse.Namespace) -> None:
    if bool(args.ssl_keyfile) != bool(args.ssl_certfile):
        raise InputError("--ssl-keyfile and --ssl-certfile go together; give both")
    for path in (args.ssl_keyfile, args.ssl_certfile):
        if path is not None and not path.is_file():
            raise InputError(f"{path} does not exist; give the PEM file")


def _open_browser(server: object, url: str) -> None:
    while not getattr(server, "started", False):
        time.sleep(0.1)
    webbrowser.open(url)


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


def _log(as_json: bool) -> None:
    handler = logging.StreamHandler()
    handler.addFilter(_not_cut_off)
    handler.addFilter(_OutOfFiles())
    handler.setFormatter(
        _JsonLines() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for chatty in ("httpx", "faster_whisper"):  # a line for each request, each utterance
        logging.getLogger(chatty).setLevel(logging.WARNING)
