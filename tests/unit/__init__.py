"""Core and flow on values and fakes; edges on what needs nothing."""
