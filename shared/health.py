"""`python -m shared.health`: exits 0 when the service on TRIPOD_HTTP_PORT of this host is ready, for containers."""

import http.client
import os
import sys


def main() -> int:
    """The exit status. Standard library only: it runs every few seconds in every container."""
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["TRIPOD_HTTP_PORT"]), timeout=4)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        told = answer.read(2000).decode(errors="replace")
    except OSError as error:
        told, status = str(error), 0
    else:
        status = answer.status
    finally:
        connection.close()
    sys.stdout.write(f"{told}\n")
    return 0 if status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
