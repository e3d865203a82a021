"""A client for Nuvom in one file, written from Protocol.md alone. Needs Python 3.8 and `msgpack`.

One Client is one connection, for one thread. `call` sends a request and waits for its answer; `submit` and
`result` do the same in two steps, so that many requests can be under way. A lost connection is made again and
what was unanswered is sent again with the same ids: the broker answers what it had done, and does not do it twice.
"""

import os
import socket
import struct
import time

import msgpack

# Goodbyes after which a new connection would end in the same way, or would take another client's place.
FINAL = {"MALFORMED_FRAME", "FRAME_TOO_LARGE", "HELLO_REQUIRED", "UNSUPPORTED_VERSION", "REPLACED", "BAD_PARAMS", "LIMIT_EXCEEDED"}


class NuvomError(Exception):
    """What the broker refused: go by `code`; `message` says what to do."""

    def __init__(self, error):
        super().__init__("%s: %s" % (error["code"], error["message"]))
        self.code = error["code"]
        self.message = error["message"]
        self.field = error.get("field")
        self.operation = error.get("operation")
        self.retry_after_ms = error.get("retry_after_ms")


class Client:
    """A connection to the broker at `host`:`port`. `patience` is how many seconds a lost broker is looked for."""

    def __init__(self, host="127.0.0.1", port=8866, name=None, patience=30.0):
        self.address = (host, port)
        self.client_id = os.urandom(16)
        self.name = name
        self.patience = patience
        self.server = {}
        self._socket = None
        self._stream = None
        self._last_id = 0  # hello is always request 0; the others rise over the whole life of the client
        self._unanswered = {}  # id -> frame, in the order sent
        self._answers = {}  # id -> (error, result), not yet asked for
        self._reconnect()

    # Requests

    def call(self, method, **params):
        """Sends one request and waits for its result."""
        return self.result(self.submit(method, **params))

    def submit(self, method, **params):
        """Sends one request and returns its id, for `result`. Parameters that are None are left out."""
        params = {key: value for key, value in params.items() if value is not None}
        self._last_id += 1
        request_id = self._last_id
        self._unanswered[request_id] = _frame([0, request_id, method, params])
        try:
            self._socket.sendall(self._unanswered[request_id])
        except OSError:
            self._reconnect()
        return request_id

    def result(self, request_id):
        """Waits for the answer to `request_id`. Raises NuvomError if it is a refusal."""
        while request_id not in self._answers:
            try:
                self._take(self._receive())
            except OSError:
                self._reconnect()
        error, result = self._answers.pop(request_id)
        if error is not None:
            raise NuvomError(error)
        return result

    def close(self):
        """Closes the connection. Leases stay until they are settled or run out."""
        if self._socket is not None:
            self._stream.close()
            self._socket.close()
            self._socket = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Methods. All the others of Protocol.md by `call("method", name=value, …)`.

    def ping(self):
        return self.call("ping")

    def enqueue(self, task, payload=b"", **options):
        """Enqueues one job, returns its id. Options: queue, priority, delay_ms, max_attempts, unique_key, …"""
        return self.enqueue_many([dict(options, task=task, payload=payload)])[0]

    def enqueue_many(self, jobs):
        return self.call("enqueue", jobs=jobs)["ids"]

    def dequeue(self, queues=("default",), max=1, wait_ms=0, **options):
        """Takes up to `max` jobs. `ack`, `nack` and `release` settle earlier ones in the same round trip."""
        return self.call("dequeue", queues=list(queues), max=max, wait_ms=wait_ms, **options)["jobs"]

    def ack(self, job, result=None):
        self._settle("ack", job, result=result)

    def nack(self, job, error_type=None, message=None, **options):
        self._settle("nack", job, error_type=error_type, message=message, **options)

    def release(self, job, delay_ms=None):
        self._settle("release", job, delay_ms=delay_ms)

    def extend(self, job, lease_ms=None):
        self._settle("extend", job, lease_ms=lease_ms)

    def cancel(self, job_id):
        refused = self.call("cancel", ids=[job_id]).get("refused")
        if refused:
            raise NuvomError(refused[0])

    def get(self, job_id):
        return self.call("get", id=job_id)

    def wait(self, job_id, wait_ms=30_000):
        return self.call("wait", id=job_id, wait_ms=wait_ms)

    def multi(self, *operations):
        """Each operation is (method, params). All are done, or none: NuvomError's `operation` is the refused one's index."""
        return self.call("multi", operations=[list(operation) for operation in operations])["results"]

    def _settle(self, method, job, **fields):
        fields = {key: value for key, value in fields.items() if value is not None}
        refused = self.call(method, jobs=[dict(fields, id=job["id"], token=job["token"])]).get("refused")
        if refused:
            raise NuvomError(refused[0])

    # Connection

    def _receive(self):
        length = struct.unpack(">I", self._read(4))[0]
        return msgpack.unpackb(self._read(length), raw=False, strict_map_key=False)

    def _read(self, count):
        data = self._stream.read(count)
        if len(data) < count:
            raise ConnectionError("the broker closed the connection")
        return data

    def _take(self, message):
        if message[0] == 1:
            _, request_id, error, result = message
            if self._unanswered.pop(request_id, None) is not None:
                self._answers[request_id] = (error, result)
        elif message[0] == 2 and message[1] == "goodbye":
            if message[2]["code"] in FINAL:
                raise NuvomError(message[2])
            time.sleep(message[2].get("retry_after_ms", 0) / 1000)
            raise ConnectionError(message[2]["message"])

    def _reconnect(self):
        give_up, pause = time.monotonic() + self.patience, 0.01
        while True:
            self.close()
            try:
                self._socket = socket.create_connection(self.address)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._stream = self._socket.makefile("rb")
                self._hello()
                for frame in self._unanswered.values():
                    self._socket.sendall(frame)
                return
            except OSError:
                if time.monotonic() + pause > give_up:
                    raise
                time.sleep(pause)
                pause = min(pause * 2, 1.0)

    def _hello(self):
        params = {"version": 1, "client_id": self.client_id}
        if self.name is not None:
            params["name"] = self.name
        self._socket.sendall(_frame([0, 0, "hello", params]))
        while True:
            message = self._receive()
            if message[0] == 1 and message[1] == 0:
                if message[2] is not None:
                    raise NuvomError(message[2])
                self.server = message[3]
                return
            self._take(message)


def _frame(message):
    body = msgpack.packb(message, use_bin_type=True)
    return struct.pack(">I", len(body)) + body


def demo(host="127.0.0.1", port=8866):
    """Enqueues a job, works on it, and waits for its result."""
    with Client(host, port, name="demo") as client:
        job_id = client.enqueue("add", msgpack.packb({"args": [2, 3], "kwargs": {}}), queue="sums", retention_ms=60_000)
        for job in client.dequeue(["sums"], wait_ms=1_000):
            client.ack(job, result=msgpack.packb(sum(msgpack.unpackb(job["payload"])["args"])))
        print("2 + 3 =", msgpack.unpackb(client.wait(job_id)["result"]))


if __name__ == "__main__":
    demo(*(os.environ.get("NUVOM_CONNECT", "127.0.0.1:8866").rsplit(":", 1)))
