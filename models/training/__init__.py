"""Training recipes, one readable file per model. Only commands and tests import them."""
