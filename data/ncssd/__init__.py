"""The dataset builder: raw video and audio to two-speaker conversations in NCSSD layout.

A stage is a function from one manifest row to rows, one stage a file, in this order:

    decode      any media file to a working copy at 24 kHz mono, read as a stream
    activity    speech activity; scenes, cut at silence over 4 s
    background  the signal-to-noise ratio of a scene; separation where demucs is there
    speakers    who speaks when: segmentation, embeddings, clustering, overlap
    turns       two-speaker windows and their turns
    recognise   what was said, with a confidence
    quality     DNSMOS, noise, clipping, bandwidth, rate; the filter
    export      NCSSD, and what other tools read

Rows are JSON. They name working files and time ranges, never samples. `engine` keeps every
result by content, stage version and configuration, so that work is done once.
"""
