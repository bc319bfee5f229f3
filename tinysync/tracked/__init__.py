"""Tracked containers: real dicts, lists and sets whose every mutation is captured."""
