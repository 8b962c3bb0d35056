"""Loading of vendors' and data sets' code by path, under the import paths it was written for.

Used inside a backend's own process as well: the standard library and qs.contract only.
"""
