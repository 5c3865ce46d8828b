"""Evaluation of recognition and turn taking, in conversations on a virtual clock."""
