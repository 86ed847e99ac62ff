"""The filter language of searches: what may be asked (`fields`), how it is read (`language`), how SQL says it
(`compiled`)."""
