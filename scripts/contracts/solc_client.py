"""What Forge takes for a native solc: hands standard input to warm_solc.cjs, prints its answer.

python -I -S solc_client.py SOCKET VERSION [solc's options]
"""

import shutil
import socket
import sys


def main(address: str, version: str, options: list[str]) -> None:
    if "--version" in options:
        print(f"solc, the solidity compiler commandline interface\nVersion: {version}")
        return
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        connection.sendall(sys.stdin.buffer.read())
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answer:
            shutil.copyfileobj(answer, sys.stdout.buffer)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
