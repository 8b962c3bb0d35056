"""What runs inside a host process: the vendor's code behind a few plain-data methods, our reference
run, and the reading of model files.

Everything that goes in or comes out is plain data (None, bool, int, float, str, bytes, list, tuple,
dict), since the two processes may have different versions of numpy. Processes, deadlines and log
files are the engine's business.
"""
