"""`tripod import`: what an older system has, a folder of files and an export of its table, into this one."""
