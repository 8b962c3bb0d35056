"""One plan over several machines: each node runs the whole engine on its share, and one result is
made of what they measured. Needs the extra `ray`.
"""
