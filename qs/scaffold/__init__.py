"""New backend folders, from templates. qs.conformance judges a folder."""
