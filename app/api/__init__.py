"""HTTP and WebSocket routes: one router a file."""
