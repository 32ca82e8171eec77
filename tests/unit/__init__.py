"""Values and fakes only: no network, no cluster, no sleeping."""
