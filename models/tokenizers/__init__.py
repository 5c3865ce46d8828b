"""Discrete speech tokens."""
