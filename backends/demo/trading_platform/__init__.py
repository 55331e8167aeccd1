"""The equities trading platform, simulated: its services, broker, containers and faults.

Everything an operator can read or do over a socket answers as the platform's contract says; behind it
stand a random market, a paper broker and one trading loop.
"""
