"""The command line: one module a command, imported only when that command is typed. No measuring
happens here.
"""
