"""The dataset builder: turns raw video and audio into two-speaker conversations in NCSSD layout.

A stage is a function from one manifest row to rows, one stage per file, in this order:

    decode      any media file to a working copy, 24 kHz mono
    activity    voice activity detection; scenes, split at silence over 4 s
    background  signal-to-noise ratio of a scene; source separation if demucs is installed
    speakers    diarisation: segmentation, embeddings, clustering, overlap
    turns       two-speaker windows and their turns
    recognise   transcription with a confidence
    quality     DNSMOS, noise, clipping, bandwidth, speaking rate; the filter
    export      NCSSD and the layouts of other toolkits

Rows are JSON and reference working files and time ranges, never samples. `engine` caches every
result by content, stage version and configuration, so that no work is repeated.
"""
