"""Stand-ins of Slack and of a cluster, for trying everything on one machine."""
