"""The pure heart: what was seen, what it means, how it holds over time, what is published.

Nothing here reads a clock, opens a socket, logs, or imports a third party. Time is an argument.
"""
