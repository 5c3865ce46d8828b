"""wyoming-openai between Home Assistant's protocol and ours, streamed and not."""

import array
import asyncio
import math
import socket
import subprocess
import sys

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info
from wyoming.tts import Synthesize, SynthesizeVoice

RATE = 16_000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def connected(port: int) -> AsyncTcpClient:
    for _ in range(200):
        client = AsyncTcpClient("127.0.0.1", port)
        try:
            await client.connect()
            return client
        except OSError:
            await asyncio.sleep(0.1)
    raise RuntimeError("wyoming-openai does not start")


async def describe(port: int) -> None:
    client = await connected(port)
    await client.write_event(Describe().event())
    info = Info.from_event(await asyncio.wait_for(client.read_event(), 10))
    voices = [voice.name for program in info.tts for voice in program.voices]
    assert "alloy" in voices, voices
    await client.disconnect()


async def speak(port: int) -> None:
    client = await connected(port)
    voice = SynthesizeVoice(name="alloy")
    await client.write_event(Synthesize("one two three four five", voice=voice).event())
    seconds = 0.0
    while True:
        event = await asyncio.wait_for(client.read_event(), 20)
        if AudioChunk.is_type(event.type):
            chunk = AudioChunk.from_event(event)
            seconds += chunk.seconds
        if AudioStop.is_type(event.type):
            break
    assert 0.9 < seconds < 1.3, seconds
    await client.disconnect()


async def hear(port: int, model: str) -> None:
    client = await connected(port)
    await client.write_event(Transcribe(name=model, language="en").event())
    await client.write_event(AudioStart(RATE, 2, 1).event())
    sound = array.array("h", (round(8000 * math.sin(0.1 * at)) for at in range(RATE))).tobytes()
    for at in range(0, len(sound), 3200):
        await client.write_event(AudioChunk(RATE, 2, 1, sound[at : at + 3200]).event())
    await client.write_event(AudioStop().event())
    while True:
        event = await asyncio.wait_for(client.read_event(), 20)
        if Transcript.is_type(event.type):
            heard = Transcript.from_event(event).text
            break
    assert heard == "hello there my friend", heard
    await client.disconnect()


async def main(url: str) -> None:
    port = free_port()
    given = [f"--{kind}-openai-{name}={value}" for kind in ("stt", "tts")
             for name, value in (("url", url), ("key", "none"))]  # fmt: skip
    proxy = subprocess.Popen(
        [sys.executable, "-m", "wyoming_openai", f"--uri=tcp://127.0.0.1:{port}", *given,
         "--stt-models", "whisper-1", "--stt-realtime-models", "gpt-4o-transcribe",
         "--tts-models", "tts-1", "--tts-voices", "alloy"]
    )  # fmt: skip
    try:
        await describe(port)
        await speak(port)
        print("tts ok")
        await hear(port, "whisper-1")
        print("stt ok")
        await hear(port, "gpt-4o-transcribe")
        print("realtime ok")
    finally:
        proxy.terminate()
        proxy.wait(10)


asyncio.run(main(sys.argv[1]))
