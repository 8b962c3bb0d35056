"""Where targets live: this process, or a child of it."""
