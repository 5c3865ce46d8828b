"""Sound files, dialogues on disk, and the corpora made of them."""
