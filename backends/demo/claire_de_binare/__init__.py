"""A simulated Claire de Binare: a bus, the services on it, their containers, and what goes wrong there."""
