"""Act: the world outside. No edge knows another."""
