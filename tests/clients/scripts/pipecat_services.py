"""Pipecat's OpenAI services with only the base URL changed: TTS, STT and realtime."""

import asyncio
import io
import sys
import wave

from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    LLMContextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.services.openai.stt import OpenAISTTService
from pipecat.services.openai.tts import OpenAITTSService
from pipecat.workers.runner import WorkerRunner


class Sink(FrameProcessor):
    """Collects the output and detects silence."""

    def __init__(self) -> None:
        super().__init__()
        self.sound, self.errors = b"", []

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.sound += frame.audio
        if isinstance(frame, ErrorFrame):
            self.errors.append(frame.error)
        await self.push_frame(frame, direction)


async def run(service, frames, seconds: float) -> Sink:
    sink = Sink()
    params = PipelineParams(audio_out_sample_rate=24_000, audio_in_sample_rate=24_000)
    worker = PipelineWorker(Pipeline([service, sink]), params=params)
    errors = sink.errors

    @worker.event_handler("on_pipeline_error")
    async def failed(_, frame):
        errors.append(frame.error)

    async def feed() -> None:
        await asyncio.sleep(1.0)
        await worker.queue_frames(frames)
        await asyncio.sleep(seconds)
        await worker.queue_frame(EndFrame())

    runner = WorkerRunner(handle_sigint=False)
    feeding = asyncio.create_task(feed())
    await runner.run(worker)
    await feeding
    return sink


async def main(url: str) -> None:
    tts = OpenAITTSService(api_key="none", base_url=url)
    spoken = await run(tts, [TTSSpeakFrame("one two three four five")], 2.0)
    assert not spoken.errors, spoken.errors
    assert len(spoken.sound) >= 48_000, len(spoken.sound)
    print("tts ok")

    stt = OpenAISTTService(api_key="none", base_url=url)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(b"\x00\x10\x00\xf0" * 12_000)
    frames = [frame async for frame in stt.run_stt(buffer.getvalue())]
    assert [type(frame) for frame in frames] == [TranscriptionFrame], frames
    assert frames[0].text == "hello there my friend", frames
    print("stt ok")

    address = url.replace("http", "ws") + "/realtime"
    realtime = OpenAIRealtimeLLMService(api_key="none", base_url=address)
    context = LLMContext([{"role": "user", "content": "Tell me about trains."}])
    answered = await run(realtime, [LLMContextFrame(context)], 4.0)
    assert not answered.errors, answered.errors
    assert len(answered.sound) > 10_000, len(answered.sound)
    print("realtime ok")


asyncio.run(main(sys.argv[1]))
