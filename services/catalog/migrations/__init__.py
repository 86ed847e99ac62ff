"""The history of the schema. A revision that runs must leave the previous version of the service working."""
