"""Clients of servers that are never the bottleneck: requests and answers as bytes on sockets.

They know connections, HTTP/1.1 and gRPC, and stamp each request at the socket. What the bytes mean
(tensors, models) is none of their business.
"""
