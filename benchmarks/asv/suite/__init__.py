"""Benchmarks for airspeed velocity, which compares versions: ``core.py``."""
