"""The edge to one mesh's Kubernetes cluster: looks, and has the few effects of a rotation."""
