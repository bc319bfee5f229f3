"""Plain Python structures that save themselves, tell you when they change, and are the same on all devices."""
