"""Mutated files for the readers that see strangers' files before any job starts.

`make fuzz` tries thousands; `test_fuzz.py`, in `make test`, tries the first few of the same.
"""
