"""What vendors and data sets build on: the base classes of backends, data sets and accuracy
checkers, and stock data sets that state what they are.

Names and defaults are ByteMLPerf's, so that existing backends run unmodified; qs.inside.imports
gives these modules their old import paths while such code is loaded. They need numpy and the
standard library alone: a backend's environment need not contain anything else of ours. Stock data
sets of pictures need Pillow too, those of texts with a tokenizer.json the library tokenizers.

The names below are loaded on first use.
"""

from __future__ import annotations

_HOMES = {
    "ArrayItems": "qs.contract.array_items",
    "ItemChecker": "qs.contract.item_dataset",
    "ItemDataset": "qs.contract.item_dataset",
    "LabelledItems": "qs.contract.labelled_items",
    "MetricChecker": "qs.contract.metric_checker",
    "PictureItems": "qs.contract.picture_items",
    "TableItems": "qs.contract.table_items",
    "TextItems": "qs.contract.text_items",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
