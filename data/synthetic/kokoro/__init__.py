"""Kokoro-82M, the teacher that speaks most of the synthetic conversations.

`engine.Teacher` synthesises texts, `voices.kokoro_voices` lists its voices, `store.fetch` downloads
it.
"""
