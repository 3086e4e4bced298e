"""What developing and demonstrating the library needs; never shipped."""
