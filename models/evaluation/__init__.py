"""Evaluation of the models; all judges are third-party models."""
