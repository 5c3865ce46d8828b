"""Speech recognition and end-of-turn detection."""
