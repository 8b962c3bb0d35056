"""Where a request is made: the loops that issue requests, in threads and as coroutines."""
