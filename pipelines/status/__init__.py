"""How far a run on a cluster is, from what lies below its root."""
