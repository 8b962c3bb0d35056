"""A backend's questions to the user: asked at a terminal, or answered by a file and by default."""
