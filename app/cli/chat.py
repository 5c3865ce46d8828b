"""`launch.py chat`: the chat server and its page."""

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
from app.endpointing import MOST_PATIENT_MS, SEMANTIC, SERVER, AudioInputSettings
from app.hub import Engines, HubSettings
from app.logs import log_to_stderr
from app.marking_option import add_marking
from app.memory import few_heaps, keep_for_good
from app.replies import (
    CONTEXT_TOKENS,
    SPEECH_TO_SPEECH,
    Briefing,
    ContextOptions,
    Responder,
    checked_prompt,
)
from app.scripted import ScriptedResponder
from app.settings import SessionSettings
from app.tls import add_tls, check_tls, fingerprint, tls_files
from app.toolbox import read_toolbox
from app.turn_ending import TurnJudge
from app.voice_activity import DETECTORS
from data.errors import InputError, MissingModelError
from data.languages import LANGUAGES
from data.recognition.endpoint import KEY_VARIABLE, EndpointRecognizer
from data.recognition.local import local_recognizer
from data.recognition.recognizer import Recognizer
from data.recognition.smart_turn import SmartTurn
from data.recognition.smart_turn_weights import find_smart_turn
from data.recognition.sphinx import SphinxRecognizer

logger = logging.getLogger(__name__)

_LEAST_CONTEXT = 256


def main(argv: list[str]) -> int:
    """Serves the voice chat page and its API until Ctrl-C."""
    parser = serving_parser("chat", main.__doc__)
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    return run(parser.parse_args(argv), page=True)


def serving_parser(verb: str, description: str | None) -> argparse.ArgumentParser:
    """The options shared by `chat` and `serve`."""
    parser = argparse.ArgumentParser(prog=f"launch.py {verb}", description=description)
    _add_access(parser)
    _add_language_model(parser)
    _add_recognition(parser)
    _add_turns(parser)
    add = parser.add_argument
    add("--voice", default="", help="initial voice of the agent (default: the first)")
    add(
        "--voice-alias",
        action="append",
        default=[],
        metavar="NAME=VOICE",
        help="another name for a voice in the API, such as alloy=nora (repeatable)",
    )
    add(
        "--max-sessions",
        type=int,
        default=8,
        help="maximum concurrent conversations (default: %(default)s)",
    )
    add(
        "--idle-minutes",
        type=float,
        default=10.0,
        help="idle time after which a conversation ends (default: %(default)g)",
    )
    add("--weights", type=Path, help="weights folder (default: bundled)")
    add("--device", default="cpu", help="cpu or cuda (default: cpu)")
    add_marking(parser)
    add("--log-json", action="store_true", help="log one JSON object per line")
    return parser


def _add_access(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to bind to (default: localhost only)")
    add("--port", type=int, default=7860, help="port (default: %(default)s)")
    add(
        "--auth",
        default="",
        metavar="USER:PASSWORD",
        help="login required for page, HTTP and WebSocket",
    )
    add("--token", default="", help="bearer token for the same; the page accepts it as ?token=")
    add("--no-auth", action="store_true", help="with --host: disable authentication")
    add(
        "--allow-origin",
        action="append",
        default=[],
        metavar="URL",
        help="additional origin allowed to use HTTP and WebSocket, such as https://example.org",
    )
    add_tls(parser)


def _add_language_model(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--llm-base-url",
        default="",
        help="OpenAI-compatible endpoint, up to /v1 (default: a language model found running on "
        "this machine)",
    )
    add("--llm-model", default="", help="model name at that endpoint; API key in LLM_API_KEY")
    add(
        "--llm-context",
        type=int,
        default=CONTEXT_TOKENS,
        metavar="TOKENS",
        help="context budget; the oldest turns are dropped first (default: %(default)s)",
    )
    add(
        "--llm-summary",
        action="store_true",
        help="let the language model summarise turns before they are dropped",
    )
    add(
        "--no-manner",
        action="store_true",
        help="do not tell the language model how the person sounded",
    )
    add("--system-prompt", default="", help="system prompt (default: answer briefly)")
    add(
        "--tools",
        type=Path,
        metavar="FILE",
        help="JSON list of functions for the language model, which this server runs: OpenAI's "
        'definitions with "command" (list) or "url"',
    )


def _add_recognition(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--asr",
        choices=("auto", "whisper", "pocketsphinx", "endpoint"),
        default="auto",
        help="speech recogniser; auto: Whisper, or pocketsphinx if Whisper's weights are missing",
    )
    add("--asr-base-url", default="", help="OpenAI-compatible transcription endpoint")
    add(
        "--asr-model",
        default="",
        help="Whisper folder or model name such as small (default: base); with --asr endpoint its "
        "model, API key in ASR_API_KEY",
    )
    add("--asr-language", choices=LANGUAGES, help="spoken language (default: detected)")


def _add_turns(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--lexicon",
        type=Path,
        help='JSON file of pronunciations: {"Nguyen": "win", "GIF": "/dʒɪf/"}',
    )
    add(
        "--turn-detection",
        choices=("auto", SEMANTIC, SERVER),
        default="auto",
        help="end-of-turn detection: semantic_vad by Smart Turn, server_vad by silence; auto: "
        "semantic_vad if Smart Turn's weights are installed",
    )
    add(
        "--eagerness",
        choices=tuple(MOST_PATIENT_MS),
        default="auto",
        help="how soon semantic_vad ends a turn",
    )
    add(
        "--silence-ms",
        type=int,
        default=500,
        help="silence that ends a turn in server_vad (default: %(default)s)",
    )
    add(
        "--vad",
        choices=DETECTORS,
        default=DETECTORS[0],
        help="voice activity detector (default: %(default)s)",
    )


def run(args: argparse.Namespace, page: bool) -> int:
    """Serves until Ctrl-C, with or without the page."""
    import uvicorn

    from app.server import SOCKET_OPTIONS, ServerSettings, create_app

    log_to_stderr(args.log_json)
    few_heaps()
    access = access_settings(args)
    hub_settings(args)  # reports bad options before the models load
    check_tls(args)
    voice_aliases(args)
    check_port(args.host, args.port)
    key, certificate = tls_files(args)
    engines = _engines(args)
    settings = ServerSettings(access, hub_settings(args, engines.judge is not None), page)
    scheme = "https" if certificate else "http"
    shown = "localhost" if is_loopback(args.host) else args.host
    url = f"{scheme}://{shown}:{args.port}/"
    config = uvicorn.Config(
        create_app(engines, settings),
        host=args.host,
        port=args.port,
        log_config=None,
        access_log=False,
        ssl_keyfile=key,
        ssl_certfile=certificate,
        timeout_graceful_shutdown=2,
        **SOCKET_OPTIONS,
    )
    server = uvicorn.Server(config)
    _warm(engines)
    keep_for_good()
    print(f"Repartee is running at {url}  (Ctrl-C to stop)", file=sys.stderr)
    if args.self_signed and certificate is not None:
        print(f"Its certificate has the SHA-256 {fingerprint(certificate)}", file=sys.stderr)
    if page and not is_loopback(args.host) and not certificate:
        print(
            "Browsers allow microphone access only over HTTPS or on localhost: "
            "add --self-signed, or --ssl-keyfile and --ssl-certfile, or type instead of talking.",
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
    """Access control settings from the command line."""
    return door(args.host, args.auth, args.token, args.no_auth, tuple(args.allow_origin))


def hub_settings(args: argparse.Namespace, can_judge: bool = False) -> HubSettings:
    """Server limits and default session settings from the command line.

    Args:
        args: the parsed command line.
        can_judge: whether a `TurnJudge` is available for semantic_vad.
    """
    if args.max_sessions < 1:
        raise InputError(f"--max-sessions is {args.max_sessions}; give 1 or more")
    audio_input = AudioInputSettings(
        vad=args.vad,
        silence_ms=args.silence_ms,
        detection=SEMANTIC if can_judge and args.turn_detection != SERVER else SERVER,
        eagerness=args.eagerness,
    )
    briefing = None
    if args.system_prompt:
        briefing = Briefing(system_prompt=checked_prompt(args.system_prompt))
    toolbox = None if args.tools is None else read_toolbox(args.tools)
    session = SessionSettings(
        voice=args.voice, audio_input=audio_input, briefing=briefing, toolbox=toolbox
    )
    return HubSettings(args.max_sessions, idle_s=args.idle_minutes * 60, session=session)


def voice_aliases(args: argparse.Namespace) -> dict[str, str]:
    """The voices that clients' names map to, from the command line."""
    pairs = [given.partition("=") for given in args.voice_alias]
    for name, _, voice in pairs:
        if not name or not voice:
            raise InputError(f"--voice-alias is {name!r}; give NAME=VOICE, such as alloy=nora")
    return {name: voice for name, _, voice in pairs}


def _engines(args: argparse.Namespace) -> Engines:
    from app.omni import OmniResponder
    from app.voices import load_speaker
    from models.delivery.lexicon import NO_LEXICON, read_lexicon

    aliases = voice_aliases(args)
    lexicon = NO_LEXICON if args.lexicon is None else read_lexicon(args.lexicon)
    speaker, store = load_speaker(args.weights, args.device, aliases=aliases)
    speaker.lexicon = lexicon
    for option, voice in (("voice", args.voice), *(("voice-alias", v) for v in aliases.values())):
        if voice and voice not in store.voices:
            known = ", ".join(store.voices)
            raise InputError(f"--{option} names {voice!r}; choose one of {known}")
    responders = _responders(args)
    responders[SPEECH_TO_SPEECH] = OmniResponder(speaker, args.weights)
    judge, caveat = _judge(args.turn_detection == SEMANTIC)
    recognizer, marked = _recognizer(args), not args.no_marking
    return Engines(store, recognizer, responders, judge, caveat, marked=marked)


def _judge(must_be: bool) -> tuple[TurnJudge | None, str]:
    """The end-of-turn model, or None and the reason for its absence.

    Raises:
        MissingModelError: it is required, and its weights are missing.
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
    context = ContextOptions(tokens, tells_manner=not args.no_manner)
    if args.llm_base_url:
        if not args.llm_model:
            raise InputError("--llm-base-url needs --llm-model, the model's name at that endpoint")
        key = os.environ.get("LLM_API_KEY") or os.environ.get("OPENAI_API_KEY", "")
        found[args.llm_model] = ChatEndpoint(
            args.llm_base_url, args.llm_model, key, context=context, summarises=args.llm_summary
        )
    else:
        for model in _discovered(args.port):
            responder = ChatEndpoint(
                model.base_url, model.name, context=context, summarises=args.llm_summary
            )
            found[f"{model.name} ({model.server})"] = responder
    found["built-in"] = ScriptedResponder(introduces=not found)
    return found


def _discovered(own_port: int) -> list[FoundModel]:
    """Finds language models running on this machine, and logs them."""
    models = find_language_models({p: name for p, name in PORTS.items() if p != own_port})
    if models:
        names = ", ".join(f"{one.name} ({one.server})" for one in models)
        logger.info("language models on this machine: %s; the first one answers", names)
    else:
        logger.warning(
            "no language model found on this machine (looked for %s); answering from a short "
            "script; start one, or give --llm-base-url",
            ", ".join(PORTS.values()),
        )
    return models


def _warm(engines: Engines) -> None:
    """Runs the models once, because a process's first run is slow."""
    from models.text import phonemize
    from models.text.symbols import MANDARIN

    if isinstance(engines.recognizer, SphinxRecognizer):
        engines.recognizer.wait_ready()
    engines.speaker.warm_up()
    if MANDARIN in engines.speaker.open_dialogue().model.config.languages:
        # Its dictionaries, and wetext for the number, take seconds to load; English speakers need
        # not wait for them.
        threading.Thread(target=phonemize, args=(["3号准备好了。"], None), daemon=True).start()


def _open_browser(server: object, url: str) -> None:
    while not getattr(server, "started", False):
        time.sleep(0.1)
    webbrowser.open(url)
