"""Kokoro-82M, the natural voice of the synthetic conversations.

`engine.Teacher` speaks texts; `voices.kokoro_voices` are its voices; `store.fetch` brings it here.
"""
