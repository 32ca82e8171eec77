<<<<<<< HEAD
"""Core and flow on values and fakes; edges on what needs nothing."""
=======
"""Values and fakes only: no network, no cluster, no sleeping."""
>>>>>>> ops
