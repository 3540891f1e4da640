"""QEMU's machine protocol."""

import json
import socket
import time

from harness.outcome import Failure


class Qmp:
    def __init__(self, path, seconds=30):
        end = time.monotonic() + seconds
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(str(path))
                break
            except OSError as error:
                self.socket.close()
                if time.monotonic() > end:
                    raise Failure(f"QMP at {path}: {error}") from error
                time.sleep(0.05)
        self.file = self.socket.makefile("r")
        self.answer()
        self.ask("qmp_capabilities")

    def answer(self):
        for line in self.file:
            message = json.loads(line)
            if "event" not in message:
                return message
        raise Failure("QEMU has closed its QMP socket")

    def ask(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        message = self.answer()
        if "error" in message:
            raise Failure(f"QMP {command}: {message['error']['desc']}")
        return message.get("return")
