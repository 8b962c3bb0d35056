"""Language models behind an API: what a prompt is, how it is asked, what an answer's events say,
and what is measured of them.

Pure parts: nothing here opens a connection or knows a report. qs.remote.protocols.openai makes a
served model of them.
"""
