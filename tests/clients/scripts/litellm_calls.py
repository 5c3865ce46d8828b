"""litellm with only the base URL changed: speech and transcription."""

import io
import sys
import wave

import litellm

url = sys.argv[1]
given = {"api_base": url, "api_key": "none"}
answer = litellm.speech("openai/tts-1", "one two three four five", voice="alloy", **given)
assert answer.content.startswith(b"ID3"), answer.content[:20]
buffer = io.BytesIO()
with wave.open(buffer, "wb") as file:
    file.setparams((1, 2, 24_000, 0, "NONE", ""))
    file.writeframes(b"\x10\x00\xf0\xff" * 12_000)
buffer.seek(0)
buffer.name = "sound.wav"
heard = litellm.transcription("openai/whisper-1", buffer, **given)
assert heard.text == "hello there my friend", heard
buffer.seek(0)
words = litellm.transcription(
    "openai/whisper-1",
    buffer,
    response_format="verbose_json",
    timestamp_granularities=["word"],
    **given,
)
assert [word["word"] for word in words.words], words
print("litellm ok")
