"""Tensors in, tensors out: text frontend, tokenizers, predictors, vocoder, and the speaker that joins them."""
