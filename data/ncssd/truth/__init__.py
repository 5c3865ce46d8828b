"""Recordings with ground truth, simulated from a corpus in NCSSD layout, and scoring of builds.

clips     the utterances of the corpus, by voice
timeline  turn taking: pauses, overlaps, backchannels, silences, third voices
sound     mixing, music and noise, containers
maker     a folder of recordings with RTTM, STM and JSON
score     scores of a build against the truth
"""
