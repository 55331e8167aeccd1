"""The simulated Hummingbot desk: bots, bus, kill switch, report files, database, monitoring."""
