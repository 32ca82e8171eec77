"""Stand-ins for the ports, each proved equal to the real edge by its contract suite."""
