"""The verbs of `launch.py`, one per file: parse options, call one function, print the result."""
