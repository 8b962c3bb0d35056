"""The conformance test of a vendor's folder: one check a module, listed in `checks`.

A check has up to three parts: `observe` looks, in the backend's own process, and gives plain data
(numpy and the standard library alone may be imported there); `judge` says what that means; `check`
is what the conductor awaits. Measuring speed is no part of it.
"""
