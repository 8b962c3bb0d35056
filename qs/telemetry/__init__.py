"""The machine's power and utilisation while a case is measured, from what the system tells: RAPL,
hwmon, NVML, the power supply, the CPUs' times, and what a backend states itself.

One file a source; each is read by a thread of its own (qs.telemetry.follower), outside of the
request path. What the readings come to is worked out when the case has ended (series, summary).
"""
