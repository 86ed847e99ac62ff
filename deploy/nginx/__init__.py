"""The edge in containers: nginx, with a configuration and static files that are made from this project."""
