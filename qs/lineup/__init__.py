"""Several backends on one task or model file, measured in turn and compared with each other:
`qs run --hardware_type CPU,OPENVINO,TORCH`.

Each backend leaves the report that it would leave alone. qs.evaluate opens and measures, and
qs.comparison knows what a difference is worth; here is the order of turns, and the page of all.
"""
