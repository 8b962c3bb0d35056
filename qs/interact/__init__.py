"""A backend's questions to the user: asked at a terminal, or answered from a file or by default."""
