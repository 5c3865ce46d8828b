"""Instruments that tell how good a model is; the judges are nobody's of ours."""
