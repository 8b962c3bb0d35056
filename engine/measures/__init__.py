"""What is measured of requests beside their times: kept while they are made, read and counted when
nothing is measured any more.
"""
