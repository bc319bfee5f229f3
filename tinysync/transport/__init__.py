"""Moves frames between peers: websockets, and an in-memory twin for tests."""
