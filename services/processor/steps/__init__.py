"""The steps of the picture pipeline, one file each. They see pixels and never do I/O."""
