"""What every part of qs shares: errors, names, files, words, workspaces. Imports nothing else of
qs.
"""
