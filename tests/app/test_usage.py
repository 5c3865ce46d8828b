"""Responses say how many tokens they read and wrote."""

from openai.types.realtime import RealtimeResponseUsage

from models.text.words import num_pieces
from tests.app.test_realtime import Client, talking


def usage_of(client: Client) -> tuple[RealtimeResponseUsage, str]:
    """Of the next response, with its transcript."""
    done = client.until("response.done")["response"]
    usage = RealtimeResponseUsage.model_validate(done["usage"])
    assert usage.input_tokens is not None and usage.output_tokens is not None
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    read, written = usage.input_token_details, usage.output_token_details
    assert read is not None and written is not None
    assert usage.input_tokens == (read.text_tokens or 0) + (read.audio_tokens or 0)
    assert usage.output_tokens == (written.text_tokens or 0) + (written.audio_tokens or 0)
    return usage, done["output"][0]["content"][0]["transcript"]


def test_a_response_counts_its_text_and_its_audio_and_reads_those_before_it() -> None:
    with talking() as (client, _):
        client.until("session.created")
        client.type("my name is bob")
        first, said = usage_of(client)
        assert first.input_token_details and first.output_token_details
        assert first.input_token_details.text_tokens == 4
        assert first.input_token_details.audio_tokens == 0
        spoken_frames = len(said.split()) * 4800 // 960
        assert first.output_token_details.text_tokens == num_pieces(said)
        assert first.output_token_details.audio_tokens == spoken_frames
        client.until("conversation.item.done")
        client.type("good")
        second, _ = usage_of(client)
        assert second.input_token_details
        assert second.input_token_details.text_tokens == 4 + num_pieces(said) + 1
        assert second.input_token_details.audio_tokens == spoken_frames


def test_a_response_in_progress_has_none_yet() -> None:
    with talking() as (client, _):
        client.until("session.created")
        client.type("my name is bob")
        assert client.until("response.created")["response"]["usage"] is None
