"""The application: page, server and commands."""
