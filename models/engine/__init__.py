"""Batched generation of many concurrent replies on one device."""
