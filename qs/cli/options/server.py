"""The served model that is asked: how requests travel, and what goes with them."""

from __future__ import annotations

from qs.base import bounds
from qs.cli.basic_types import FilePath, OneOf, Whole
from qs.cli.grouping import SERVER, together, under
from qs.cli.server_types import Client, Header, Host, Sequences
from qs.cli.types import Named, Seconds

_server = under(SERVER)

url = _server(
    "--url",
    metavar="URL",
    help="Measure the task's model as a server serves it, at an address such as "
    "kserve+http://127.0.0.1:8000/MODEL; the address names the backend.",
)

server = together(
    _server(
        "--model",
        metavar="MODEL",
        help="The model, where the address names none: openai+http://127.0.0.1:8080/v1.  [default: "
        "the only one that the server lists]",
    ),
    _server(
        "--header",
        "headers",
        type=Header(),
        multiple=True,
        help="Sent with every request, as HTTP header or gRPC metadata. The value is never shown "
        "or kept; @env:NAME and @file:PATH read it from a variable or a file. Repeatable.",
    ),
    _server(
        "--connections",
        type=Whole(1, bounds.CLIENTS),
        help="Most connections; all are opened before measuring.  [default: one for each client, "
        "in open loop 256]",
    ),
    _server(
        "--binary",
        type=OneOf(["auto", "always", "never"]),
        help="Tensors over HTTP as bytes where the server announces that (auto), always, or as "
        "JSON.  [default: auto]",
    ),
    _server(
        "--template",
        type=FilePath(),
        help="For http:// and https://: a JSON file that says what is sent, and where the "
        "answer is; see docs/templates.md.",
    ),
    _server(
        "--parameter",
        "parameters",
        type=Named(str, "parameter", "priority=1"),
        multiple=True,
        metavar="NAME=VALUE",
        help="A parameter of every inference request. Repeatable.",
        rare=True,
    ),
    _server(
        "--compression",
        type=OneOf(["none", "gzip"]),
        help="Of requests and answers.  [default: none]",
        rare=True,
    ),
    _server(
        "--sequences",
        type=Sequences(),
        help="Give the requests sequence ids: COUNT sequences in turn, of LENGTH requests each "
        "(20), with ids from FIRST (1) on.",
        rare=True,
    ),
    _server(
        "--shared_memory",
        is_flag=True,
        help="Hand tensors over in system shared memory: a Triton server on this machine.",
        rare=True,
    ),
    _server(
        "--streams",
        type=Whole(1, bounds.CLIENTS),
        help="gRPC: requests at a time on one connection.  [default: 1]",
        rare=True,
    ),
    _server(
        "--client",
        type=Client(),
        help="Our own client on an event loop (lean), or a second opinion: a blocking socket in "
        "a thread for each client, or grpcio.  [default: lean]",
        rare=True,
    ),
    _server(
        "--connection_order",
        "order",
        type=OneOf(["last", "first"]),
        help="Which idle connection is taken: the one used last, or the one idle longest.  "
        "[default: last]",
        rare=True,
    ),
    _server(
        "--open_while_measuring",
        is_flag=True,
        help="Let connections be opened while measuring: their cost is then in the response times.",
        rare=True,
    ),
    _server(
        "--ready_timeout",
        "ready_timeout_s",
        type=Seconds(),
        help="How long to wait until the server says that the model is ready.  [default: 60s]",
        rare=True,
    ),
    _server(
        "--connect_timeout",
        "connect_timeout_s",
        type=Seconds(),
        help="Longest time to connect.  [default: 10s]",
        rare=True,
    ),
    _server(
        "--first_byte_timeout",
        "first_byte_timeout_s",
        type=Seconds(),
        help="Longest time until the first byte of an answer; for all of it there is "
        "--predict_timeout.",
        rare=True,
    ),
    _server(
        "--ca",
        type=FilePath(),
        help="TLS: certificates (PEM) to trust in place of the system's.",
        rare=True,
    ),
    _server(
        "--insecure",
        is_flag=True,
        help="TLS: accept any certificate.",
        rare=True,
    ),
    _server(
        "--server_name",
        type=Host(),
        help="TLS: the name that the certificate must be for, where it is not the address's.",
        rare=True,
    ),
    _server(
        "--certificate",
        type=FilePath(),
        help="TLS: our own certificate (PEM), for a server that asks for one.",
        rare=True,
    ),
    _server("--key", type=FilePath(), help="TLS: the key of --certificate (PEM).", rare=True),
    _server(
        "--proxy",
        metavar="URL",
        help="Connect through this HTTP proxy; variables such as https_proxy are ignored.",
        rare=True,
    ),
    _server(
        "--metrics_url",
        metavar="URL",
        help="Prometheus metrics of the server, read each second beside the measurement.  "
        "[default: none]",
        rare=True,
    ),
    _server(
        "--metric",
        "metric_names",
        multiple=True,
        metavar="NAME",
        help="Which of those metrics to keep. Repeatable.",
        rare=True,
    ),
)
