"""Encoding by a program of the operator's instead of PyAV's own encoders."""
