"""The page: widgets and worklets, no logic."""
