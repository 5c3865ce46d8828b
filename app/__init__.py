"""What people touch: the page, the server and the commands."""
