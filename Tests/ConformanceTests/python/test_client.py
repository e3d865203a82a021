"""Holds Protocol.md's promise: Examples/python/nuvom.py, written from the page alone, works against the broker.

NUVOM_BINARY=path/to/nuvom python3 Tests/ConformanceTests/python/test_client.py      (needs PyPI's msgpack)
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "Examples" / "python"))

import nuvom  # noqa: E402


class Broker:
    """The real process, on a port of its choice, which a restart keeps."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.port = 0
        self.start()

    def start(self):
        binary = os.environ.get("NUVOM_BINARY") or str(ROOT / ".build" / "debug" / "nuvom")
        arguments = [binary, "broker", "--data", self.folder.name + "/data", "--listen", "127.0.0.1:%d" % self.port]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.process.stdout:
            if line.startswith("nuvom: listening on "):
                self.port = int(line.rsplit(":", 1)[1])
                return
        raise RuntimeError("the broker ended before it listened")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def close(self):
        self.kill()
        self.folder.cleanup()


class ClientTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()

    @classmethod
    def tearDownClass(cls):
        cls.broker.close()

    def setUp(self):
        self.client = nuvom.Client(port=self.broker.port, name=self.id())
        self.queue = self._testMethodName

    def tearDown(self):
        self.client.close()

    def refused(self, code):
        return RefusedWith(self, code)

    def test_hello_tells_the_version_and_the_limits(self):
        self.assertEqual(self.client.server["version"], 1)
        self.assertEqual(self.client.server["max_frame_bytes"], 16_777_216)
        self.assertEqual(self.client.server["highest_request_id"], 0)

    def test_a_job_goes_through_queue_worker_and_result(self):
        job_id = self.client.enqueue("add", b"\x01\x02", queue=self.queue, retention_ms=60_000, headers={"trace": b"\x00"})
        [job] = self.client.dequeue([self.queue])
        self.assertEqual((job["id"], job["task"], job["payload"], job["attempt"]), (job_id, "add", b"\x01\x02", 1))
        self.assertEqual(job["headers"], {"trace": b"\x00"})
        self.client.ack(job, result=b"\x03")
        done = self.client.wait(job_id)
        self.assertEqual((done["state"], done["result"]), ("succeeded", b"\x03"))

    def test_a_failed_job_comes_again_and_ends_among_the_dead_letters(self):
        job_id = self.client.enqueue("add", queue=self.queue, max_attempts=2)
        for attempt in (1, 2):
            [job] = self.client.dequeue([self.queue])
            self.assertEqual(job["attempt"], attempt)
            self.client.nack(job, "ValueError", "no", delay_ms=0)
        dead = self.client.get(job_id)
        self.assertEqual((dead["state"], dead["dead_reason"]), ("dead", "failed"))
        self.assertEqual([error["attempt"] for error in dead["errors"]], [1, 2])
        self.assertEqual(self.client.call("dead_replay", ids=[job_id])["replayed"], 1)
        [job] = self.client.dequeue([self.queue])
        self.assertEqual(job["attempt"], 3)
        self.client.ack(job)

    def test_a_settlement_with_an_old_token_is_refused(self):
        self.client.enqueue("add", queue=self.queue)
        [first] = self.client.dequeue([self.queue])
        self.client.release(first)
        [second] = self.client.dequeue([self.queue])
        self.assertGreater(second["token"], first["token"])
        with self.refused("LEASE_LOST"):
            self.client.ack(first)
        self.client.extend(second, lease_ms=60_000)
        self.client.ack(second)

    def test_a_worker_is_told_that_its_job_was_cancelled(self):
        job_id = self.client.enqueue("add", queue=self.queue)
        [job] = self.client.dequeue([self.queue])
        self.client.cancel(job_id)
        with self.refused("CANCELLED"):
            self.client.extend(job)

    def test_multi_is_done_whole_or_not_at_all(self):
        lost = {"id": 1, "token": 1}
        with self.refused("LEASE_LOST") as refusal:
            self.client.multi(("enqueue", {"jobs": [{"task": "b", "queue": self.queue}]}), ("ack", {"jobs": [lost]}))
        self.assertEqual(refusal.error.operation, 1)
        self.assertEqual(self.client.dequeue([self.queue]), [])

    def test_an_enqueue_wakes_a_dequeue_that_waits(self):
        waiting = self.client.submit("dequeue", queues=[self.queue], wait_ms=60_000)
        with nuvom.Client(port=self.broker.port) as producer:
            job_id = producer.enqueue("add", queue=self.queue)
        self.assertEqual(self.client.result(waiting)["jobs"][0]["id"], job_id)

    def test_a_wrong_parameter_is_named(self):
        with self.refused("BAD_PARAMS") as refusal:
            self.client.enqueue("add", queue=self.queue, priority=1.0)
        self.assertIn("priority", refusal.error.field)

    def test_requests_that_were_unanswered_when_the_broker_was_killed_are_done_once(self):
        before = self.client.enqueue("first", queue=self.queue)
        requests = [self.client.submit("enqueue", jobs=[{"task": "t%d" % n, "queue": self.queue}]) for n in range(200)]
        self.broker.kill()
        self.broker.start()
        ids = [before] + [self.client.result(request)["ids"][0] for request in requests]
        self.assertEqual(len(set(ids)), 201)
        jobs = self.client.dequeue([self.queue], max=1_000)
        self.assertEqual([job["task"] for job in jobs], ["first"] + ["t%d" % n for n in range(200)])
        self.assertEqual([job["id"] for job in jobs], ids)


class RefusedWith:
    """A context that passes if its body is refused with this code; the error is kept."""

    def __init__(self, test, code):
        self.test, self.code, self.error = test, code, None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.test.assertIsInstance(error, nuvom.NuvomError)
        self.test.assertEqual(error.code, self.code, str(error))
        self.error = error
        return True


if __name__ == "__main__":
    unittest.main()
