"""Keeps a file of lines `name=port`: every name has a port that is free at this moment.

    ports.py FILE NAME...

Ports lie below the range that the kernel gives to outgoing connections, so that a server that is
restarted finds its port as it left it. Some may be in use by another folder's servers: each is
tried by binding it.
"""
import os
import random
import socket
import sys


def free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def main():
    path, names = sys.argv[1], sys.argv[2:]
    with open(path, encoding="ascii") as file:
        ports = {name: int(port) for name, port in (line.strip().split("=") for line in file)}
    used = set()
    for name in names:
        port = ports.get(name)
        tries = 0
        while port is None or port in used or not free(port):
            port = random.randrange(15000, 32000)
            tries += 1
            if tries > 1000:
                sys.exit("cluster: no free port between 15000 and 32000")
        ports[name] = port
        used.add(port)
    with open(path + ".new", "w", encoding="ascii") as file:
        file.writelines(f"{name}={port}\n" for name, port in ports.items())
    os.replace(path + ".new", path)


main()
