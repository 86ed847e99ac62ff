"""Catalog: owns the rows, answers every question about media, and delivers their bytes."""
