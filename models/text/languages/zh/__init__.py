"""Mandarin: numbers by wetext, words by jieba, pinyin by pypinyin, tones as they are spoken."""
