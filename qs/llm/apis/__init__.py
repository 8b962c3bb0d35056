"""One API of language models a file: the body of a request, and what events and answers say."""
