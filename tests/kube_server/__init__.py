"""A small Kubernetes API on loopback that holds Jobs, and checks what it is sent against Kubernetes' own schema."""
