"""Recipes: one readable file a model. Nothing outside this folder imports it."""
