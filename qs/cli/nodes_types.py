"""Kinds of values that the options of nodes take."""

from __future__ import annotations

import math
import re
import reprlib
from typing import Any

import click

from qs.base import bounds

# Names and values of labels as Ray and Kubernetes have them.
_LABEL = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._/-]{0,252}=[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
)
_PLACE = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?):(\d{1,5})")
_MOST_PORT = 65535


class Nodes(click.ParamType):
    """How many nodes, all of them, or those with a label: 2, all, disk=nvme."""

    name = "nodes"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        from qs.settings.nodes_asked import ALL

        text = str(value).strip()
        if text.casefold() == ALL:
            return ALL
        if re.fullmatch(r"[+-]?\d{1,30}", text):
            if not text.isascii() or not 1 <= int(text) <= bounds.NODES:
                allowed = f"a whole number from 1 to {bounds.NODES:,}"
                self.fail(f"{reprlib.repr(text)} is not {allowed}", param, ctx)
            return int(text)
        if not _LABEL.fullmatch(text):
            self.fail(
                f"{reprlib.repr(text)} is neither a number of nodes (2), nor all, nor a label of "
                "them (zone=a)",
                param,
                ctx,
            )
        return text

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "N|all|LABEL=VALUE"


class Cluster(click.ParamType):
    """Where a Ray cluster is: HOST:PORT, auto or local."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from qs.settings.nodes_asked import LOCAL

        text = str(value).strip()
        if text.casefold() in ("auto", LOCAL):
            return text.casefold()
        scheme, found, rest = text.partition("://")
        if found:
            host = rest.partition("/")[0].partition(":")[0] or "HOST"
            why = (
                "of Ray's client, which does not reach the nodes: run qs on a machine of the "
                "cluster, and"
                if scheme.casefold() == "ray"
                else "no cluster's address;"
            )
            told = f"give HOST:PORT of its head, for example {host}:6379"
            self.fail(f"{reprlib.repr(text)} is {why} {told}", param, ctx)
        match = _PLACE.fullmatch(text)
        if not match or not 1 <= int(match[3]) <= _MOST_PORT:
            near = f"; did you mean {text}:6379?" if _PLACE.fullmatch(f"{text}:6379") else ""
            self.fail(
                f"{reprlib.repr(text)} is not HOST:PORT of a cluster's head, auto or local{near}",
                param,
                ctx,
            )
        return text

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "HOST:PORT|auto|local"


class PerNode(click.ParamType):
    """What each node has: clients=4, or several with commas: clients=4,instances=2."""

    name = "per_node"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[str, float], ...]:
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        return tuple(self._pair(part.strip(), param, ctx) for part in parts)

    def _pair(
        self, text: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        from qs.base.names import nearest
        from qs.settings.nodes_asked import PER_NODE, REAL

        typed, equals, stated = (part.strip() for part in text.partition("="))
        key = typed.casefold().replace("-", "_").lstrip("_")
        if not equals or not key or not stated:
            self.fail(
                f"{reprlib.repr(text)} is not KEY=NUMBER; write for example clients=4", param, ctx
            )
        if key not in PER_NODE:
            near = nearest(key, PER_NODE)
            meant = f"; did you mean {near}?" if near else ""
            known = ", ".join(PER_NODE)
            self.fail(f"{reprlib.repr(typed)} is not one of {known}{meant}", param, ctx)
        if key in REAL:
            return key, self._real(key, stated, param, ctx)
        return key, self._whole(key, stated, param, ctx)

    def _whole(self, key: str, text: str, param: Any, ctx: Any) -> int:
        most = _MOST[key]
        least = 0 if key == "max_backlog" else 1
        number = int(text) if re.fullmatch(r"[+-]?[0-9]{1,30}", text) else None
        if number is None or not least <= number <= most:
            allowed = f"a whole number from {least} to {most:,}"
            self.fail(f"{key}={text[:40]} is not {allowed}", param, ctx)
        return number

    def _real(self, key: str, text: str, param: Any, ctx: Any) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not 0 < number <= bounds.PER_S:
            allowed = f"a number above 0, up to {bounds.PER_S:,.0f}"
            self.fail(f"{key}={text[:40]} is not {allowed}", param, ctx)
        return number

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "KEY=NUMBER"


_MOST = {
    "clients": bounds.CLIENTS,
    "workers": bounds.COPIES,
    "instances": bounds.COPIES,
    "iterations": bounds.COUNT,
    "users": bounds.CLIENTS,
    "max_backlog": bounds.WAITING,
}
