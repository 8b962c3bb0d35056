"""One evaluation: a vendor's folder is brought up, its model compiled, its answers checked, its
speed measured. `running` is where a command enters, `evaluation` has the order of the steps.
"""
