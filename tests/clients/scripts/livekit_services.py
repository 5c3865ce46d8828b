"""LiveKit's OpenAI plugins with only the base URL changed: TTS, STT and realtime."""

import asyncio
import sys

import numpy as np
from livekit import rtc
from livekit.agents import llm
from livekit.agents.utils import http_context
from livekit.plugins import openai


async def speak(url: str) -> None:
    for given in ({}, {"model": "tts-1"}, {"response_format": "wav"}, {"response_format": "opus"}):
        tts = openai.TTS(base_url=url, api_key="none", **given)
        stream = tts.synthesize("one two three four five")
        seconds = sum([event.frame.duration async for event in stream])
        assert 0.9 < seconds < 1.3, (given, seconds)
        await stream.aclose()
        await tts.aclose()
    print("tts ok")


async def hear(url: str) -> None:
    stt = openai.STT(base_url=url, api_key="none", model="whisper-1", language="en")
    sound = (8000 * np.sin(np.arange(24_000) * 0.1)).astype(np.int16)
    frame = rtc.AudioFrame(sound.tobytes(), 24_000, 1, len(sound))
    event = await stt.recognize(frame)
    assert event.alternatives[0].text == "hello there my friend", event
    print("stt ok")


async def converse(url: str) -> None:
    model = openai.realtime.RealtimeModel(base_url=url, api_key="none", voice="alloy")
    session = model.session()
    errors: list[object] = []
    session.on("error", errors.append)
    await session.update_instructions("Answer briefly.")
    context = llm.ChatContext.empty()
    context.add_message(role="user", content="Tell me about trains.")
    await session.update_chat_ctx(context)
    created = await asyncio.wait_for(session.generate_reply(), 15)
    seconds, text = 0.0, ""
    async for message in created.message_stream:
        async for frame in message.audio_stream:
            seconds += frame.duration
        async for piece in message.text_stream:
            text += str(piece)
    assert seconds > 0.3 and text.strip(), (seconds, text)
    assert not errors, errors
    await session.aclose()
    print("realtime ok")


async def main(url: str) -> None:
    async with http_context.open():
        await speak(url)
        await hear(url)
        await converse(url)


asyncio.run(main(sys.argv[1]))
