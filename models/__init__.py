"""Tensors in, tensors out: frontend, tokenizers, predictors, vocoder, and the speaker of them."""
