"""What a server said beside a row's numbers, what the client itself costs, and which server it was.

Every figure may be null: it was not measured, and the text beside it says why.
"""

from __future__ import annotations

from qs.result.part import Count, Number, Part


class TimePartEntry(Part):
    """One part of the mean response time; all parts together are all of it."""

    name: str
    mean_ms: Number = None
    share: Number = None  # of the mean response time


class StatisticsEntry(Part):
    """What the server counted during the case. Times are means of those requests that had such a
    part; a request's compute is the whole of the execution that it shared.
    """

    requests: Count = None  # answered without an error
    failed: Count = None
    items: Count = None  # inferences: a request of batch size 4 is four
    executions: Count = None  # runs of the model
    mean_batch_size: Number = None  # items an execution
    batch_sizes: dict[str, int] = {}  # the batch size that was formed -> executions
    request_ms: Number = None
    queue_ms: Number = None
    compute_input_ms: Number = None
    compute_infer_ms: Number = None
    compute_output_ms: Number = None
    cache_hits: Count = None
    cache_misses: Count = None
    cache_hit_ms: Number = None
    cache_miss_ms: Number = None
    restarts: Count = None  # how often what it counts began anew


class ServerSeriesEntry(Part):
    """Means between two readings; null where nothing was read, or nothing was counted."""

    at_s: list[float] = []  # where each interval begins, from the start of the measured phase
    end_s: Number = None  # where the last one ends
    requests_per_s: list[Number] = []
    request_ms: list[Number] = []
    queue_ms: list[Number] = []
    compute_ms: list[Number] = []  # input, infer and output together
    batch_size: list[Number] = []


class MetricSeriesEntry(Part):
    """One series of the server's metrics over the case."""

    name: str
    labels: dict[str, str] = {}
    kind: str = "gauge"  # or counter, histogram (summaries too)
    # of a gauge, of a counter's rate per second, of a histogram's observations
    mean: Number = None
    least: Number = None
    most: Number = None
    per_s: Number = None  # a histogram's observations
    first: Number = None  # as read before the case, and after it
    last: Number = None
    resets: Count = None
    at_s: list[float] = []
    values: list[Number] = []


class ServerEntry(Part):
    """What was read of the server before, during and after the case."""

    statistics: StatisticsEntry | None = None
    no_statistics: str | None = None  # why there are none
    # the mean response time: late, wait for a connection, network and client, queue, ...
    parts: list[TimePartEntry] = []
    network_and_client_ms: Number = None
    not_split: str | None = None  # why the response time could not be split
    series: ServerSeriesEntry | None = None
    metrics: list[MetricSeriesEntry] = []
    no_metrics: str | None = None
    series_left_out: Count = None  # of the metrics, beyond the most that are kept
    # from the start of the measured phase: between which readings all this was counted
    from_s: Number = None
    to_s: Number = None
    readings: Count = None
    faults: list[str] = []  # readings that failed, each kind once
    sampler_cpu_s: Number = None  # CPU time of our threads that read
    sampler_share_of_core: Number = None


class PartTimes(Part):
    """Percentiles of one part of a request's time, as the client stamped it at the socket."""

    count: Count = None
    mean_ms: Number = None
    p50_ms: Number = None
    p90_ms: Number = None
    p99_ms: Number = None
    max_ms: Number = None


class ClientEntry(Part):
    """What the client costs by itself: the same requests, in the same processes, to a server on
    loopback that answers at once with as many bytes.
    """

    limit_per_s: Number = None  # requests: processes / CPU time a request
    rate_per_s: Number = None  # reached against that server
    cpu_us: Number = None  # of the client, per request; of a stream with all its events at once
    cpu_us_per_event: Number = None  # of a stream's event that arrives alone, all else shared out
    events_per_s: Number = None  # that the client could take, arriving alone
    p50_ms: Number = None  # of a round trip to that server
    p99_ms: Number = None
    in_flight: Count = None  # requests at a time, of these round trips
    processes: Count = None
    requests: Count = None  # that it was measured on
    request_bytes: Count = None
    answer_bytes: Count = None
    share_of_response: Number = None  # p50 of that round trip / p50 of the case
    share_of_limit: Number = None  # rate of the case / limit
    share_of_cores: Number = None  # CPU time of the client in the case / that of its processes
    not_measured: str | None = None
    note: str | None = None


class ServedEntry(Part):
    """Which server it was, and how it was spoken to."""

    url: str | None = None
    address: str | None = None  # the name resolved
    protocol: str | None = None
    server: str | None = None
    server_version: str | None = None
    model: str | None = None
    model_version: str | None = None
    platform: str | None = None
    max_batch_size: Count = None
    instance_groups: list[str] = []
    extensions: list[str] = []
    tls: str | None = None
    compression: str | None = None
    tensors: str | None = None  # binary or JSON, or protobuf
    client: str | None = None
    header_names: list[str] = []  # of what the user added; never a value
    facts: dict[str, str] = {}
