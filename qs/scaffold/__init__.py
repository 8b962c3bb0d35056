"""New backend folders, from templates. Judging a folder is qs.conformance's part."""
