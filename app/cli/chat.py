"""`launch.py chat`: the page and its server."""

import argparse
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
from app.logs import log_to_stderr
from app.marking_option import add_marking
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
    parser = serving_parser("chat", main.__doc__)
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    return run(parser.parse_args(argv), page=True)


def serving_parser(verb: str, description: str | None) -> argparse.ArgumentParser:
    """The options that `chat` and `serve` share."""
    parser = argparse.ArgumentParser(prog=f"launch.py {verb}", description=description)
    _add_access(parser)
    _add_language_model(parser)
    _add_recognition(parser)
    _add_turns(parser)
    add = parser.add_argument
    add("--voice", default="", help="the agent's voice at first (default: the first)")
    add("--max-sessions", type=int, default=8, help="conversations at once")
    add("--idle-minutes", type=float, default=10.0, help="after which a conversation ends")
    add("--weights", type=Path, help="a folder of models instead of the bundled ones")
    add("--device", default="cpu", help="cpu or cuda")
    add_marking(parser)
    add("--log-json", action="store_true", help="a JSON object a line")
    return parser


def _add_access(parser: argparse.ArgumentParser) -> None:
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


def _add_language_model(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
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


def _add_recognition(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
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


def _add_turns(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--lexicon",
        type=Path,
        help='a JSON file of pronunciations: {"Nguyen": "win", "GIF": "/dʒɪf/"}',
    )
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


def run(args: argparse.Namespace, page: bool) -> int:
    """Serves until Ctrl-C, with or without the page."""
    import uvicorn

    from app.server import SOCKET_OPTIONS, ServerSettings, create_app

    log_to_stderr(args.log_json)
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
    from models.delivery.lexicon import NO_LEXICON, read_lexicon

    lexicon = NO_LEXICON if args.lexicon is None else read_lexicon(args.lexicon)
    speaker, store = load_speaker(args.weights, args.device)
    speaker.lexicon = lexicon
    if args.voice and args.voice not in store.voices:
        raise InputError(f"--voice is {args.voice!r}; choose one of {', '.join(store.voices)}")
    responders = _responders(args)
    responders[SPEECH_TO_SPEECH] = OmniResponder(speaker, args.weights)
    judge, caveat = _judge(args.turn_detection == SEMANTIC)
    recognizer, marked = _recognizer(args), not args.no_marking
    return Engines(store, recognizer, responders, judge, caveat, marked=marked)


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
    from models.text import phonemize
    from models.text.symbols import MANDARIN

    if isinstance(engines.recognizer, SphinxRecognizer):
        engines.recognizer.wait_ready()
    speaker = engines.speaker
    voice = next(iter(speaker.voices.values()))
    dialogue = speaker.open_dialogue()
    reply = speaker.speak(dialogue, "Ready.", voice, SpeakOptions(seed=0))
    for _ in reply:
        pass
    if MANDARIN in dialogue.model.config.languages:
        # Its dictionaries take seconds to load; whoever speaks English need not wait for them.
        threading.Thread(target=phonemize, args=(["准备好了。"], None), daemon=True).start()


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
