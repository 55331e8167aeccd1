"""The trading bots, simulated: Redis with their keys, units of systemd, real processes that only pretend,
report files and exporters. Everything answers as the contract of that stack says, its oddities included.
"""
