"""Runs a folder of files, hostile ones among them, through the whole system and holds the worker to its promises."""
