"""What runs inside a host process: the vendor's code behind a few plain-data methods, and our
reference run.

Everything that goes in or comes out is plain data (None, bool, int, float, str, bytes, list, tuple,
dict), since the two sides may have different versions of numpy. Processes, deadlines and log files
are the engine's part.
"""
