"""Mandarin: numbers by wetext, words by jieba, pinyin by pypinyin, tone sandhi."""
