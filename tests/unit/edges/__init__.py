"""Of each edge, what its contract suite cannot say."""
