"""The bundled voices, and the teacher voices they were trained on."""

NAMED: dict[str, tuple[str, str]] = {
    "kokoro-af_heart": ("clara", "a woman, American, warm"),
    "kokoro-af_sarah": ("nora", "a woman, American, clear and composed"),
    "kokoro-am_michael": ("owen", "a man, American, even"),
    "kokoro-am_fenrir": ("jack", "a man, American, lively"),
    "kokoro-bf_emma": ("harriet", "a woman, British, measured"),
    "kokoro-bf_isabella": ("imogen", "a woman, British, bright"),
    "kokoro-bm_george": ("rupert", "a man, British, low"),
    "kokoro-bm_daniel": ("edwin", "a man, British, brisk"),
    "kokoro-zf_xiaobei": ("meilin", "a woman, at home in Mandarin, light"),
    "kokoro-zf_xiaoxiao": ("lan", "a woman, at home in Mandarin, full"),
    "kokoro-zm_yunxi": ("junwei", "a man, at home in Mandarin, young"),
    "kokoro-zm_yunyang": ("bolin", "a man, at home in Mandarin, steady"),
}
"""Named voices of the synthetic corpus: name and description."""
