"""Delivery of a text beyond its words: controls, instructions, pronunciations."""
