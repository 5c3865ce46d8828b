"""Recordings with known truth, made from the turns of a corpus in NCSSD layout, and their scores.

clips     the corpus, by voice
timeline  who speaks when: pauses, overlaps, backchannels, silences, third voices
sound     mixing, music and noise, containers
maker     a folder of recordings with RTTM, STM and JSON
score     what the builder made of them, against the truth
"""
