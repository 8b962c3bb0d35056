"""One protocol to a served model a file: `qs.remote.protocol` says what each has to be."""
