"""Simulated systemd: units in files, with the ``systemctl`` and ``journalctl`` that tell of them."""
