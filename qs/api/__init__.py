"""QuickSilver in Python and in notebooks: `qs.load(model).run(rate=200)`, `qs.load_result(path)`,
`qs.compare(a, b)`. The names stand in `qs` itself and are loaded on first use.
"""
