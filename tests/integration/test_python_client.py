#!/usr/bin/python3
"""Python's grpcio against our server: the example client as a user runs it, and
what a well-behaved client of ours would never send."""

import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest

import grpc

ROOT = os.environ["YM_SOURCE_ROOT"]
HUB = os.path.join(os.environ["YM_BUILD_ROOT"], "tests", "echo_hub")
WATCH = os.path.join(ROOT, "docs", "examples", "watch.py")


def load_example():
    spec = importlib.util.spec_from_file_location("watch", WATCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class PythonClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.hub = subprocess.Popen([HUB, cls.folder.name], stdout=subprocess.PIPE, text=True)
        cls.port = cls.hub.stdout.readline().split()[1]
        cls.pb = load_example().messages(cls.folder.name)
        with open(os.path.join(cls.folder.name, "secret"), "w") as f:
            f.write("a secret of sixteen and more\n")
        subprocess.run(["openssl", "pkey", "-in", cls.path("sponsor.key"), "-aes256", "-passout",
                        "file:" + cls.path("secret"), "-out", cls.path("sealed.key")], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.hub.terminate()
        code = cls.hub.wait(30)
        cls.hub.stdout.close()
        cls.folder.cleanup()
        assert code == 0, "the hub ended with %d" % code

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder.name, name)

    def run_example(self, *more, key="sponsor.key"):
        return subprocess.run(
            [sys.executable, WATCH, "--hub", "127.0.0.1:" + self.port, "--ca", self.path("ca.pem"), "--cert",
             self.path("sponsor.pem"), "--key", self.path(key), *more], capture_output=True, text=True, timeout=60)

    def channel(self):
        def read(name):
            with open(self.path(name), "rb") as f:
                return f.read()
        creds = grpc.ssl_channel_credentials(read("ca.pem"), read("sponsor.key"), read("sponsor.pem"))
        return grpc.secure_channel("127.0.0.1:" + self.port, creds, [("grpc.max_send_message_length", -1)])

    def raw(self, channel, path, request, **more):
        return channel.unary_unary(path)(request, timeout=more.pop("timeout", 30), **more)

    def refused(self, path, request, **more):
        with self.channel() as channel:
            with self.assertRaises(grpc.RpcError) as caught:
                self.raw(channel, path, request, **more)
            self.raw(channel, "/yumen.v1.Sponsor/ListStudies", b"")  # the server lives
            return caught.exception

    # the example

    def test_lists_studies(self):
        done = self.run_example()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines(),
                         ["wdbc collect round 2/3 attempt 1 h1=counted h2=ready",
                          "stroke offered round 0/3 attempt 1 h1=counted h2=ready"])

    def test_watches_a_run_to_its_end(self):
        done = self.run_example("wdbc", "--secret", self.path("secret"), key="sealed.key")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 4)
        self.assertEqual(lines[0], "1800000001 wdbc collect round 1/3 attempt 1 h1=counted h2=ready")
        self.assertIn("wdbc done round 3/3", lines[3])

    def test_says_why_a_study_cannot_be_watched(self):
        done = self.run_example("other")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.strip(), "not_found: no such study")

    def test_ends_with_3_when_nobody_answers(self):
        port, type(self).port = self.port, "1"
        try:
            self.assertEqual(self.run_example().returncode, 3)
        finally:
            type(self).port = port

    # fields, streams

    def test_hashes_and_flags_arrive(self):
        with self.channel() as channel:
            reply = self.pb.ListStudiesReply.FromString(self.raw(channel, "/yumen.v1.Sponsor/ListStudies", b""))
        self.assertEqual(reply.study[0].state_sha256, b"\xfe\xed" + bytes(30))
        self.assertTrue(reply.study[0].site[1].connected)

    def test_upload_ends_by_its_commit(self):
        chunks = [self.pb.UploadChunk(data=bytes(512 * 1024)) for _ in range(8)] + [self.pb.UploadChunk(commit=True)]
        with self.channel() as channel:
            upload = channel.stream_unary("/yumen.v1.Worker/Upload",
                                          request_serializer=self.pb.UploadChunk.SerializeToString,
                                          response_deserializer=self.pb.UploadReply.FromString)
            self.assertEqual(upload(iter(chunks), timeout=60).offset, 4 << 20)
            with self.assertRaises(grpc.RpcError) as caught:
                upload(iter(chunks[:3]), timeout=60)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)

    def test_deadline_is_kept(self):
        error = self.refused("/yumen.v1.Sponsor/ListData", b"", timeout=0.3)
        self.assertEqual(error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)

    # what the server refuses, and survives

    def test_oversize_message_is_refused(self):
        error = self.refused("/yumen.v1.Sponsor/ListStudies", bytes((1 << 20) + 1))
        self.assertEqual(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)

    def test_compressed_message_is_refused(self):
        error = self.refused("/yumen.v1.Sponsor/WatchStudy", b"\x0a\x3f" + b"a" * 63, compression=grpc.Compression.Gzip)
        self.assertEqual(error.code(), grpc.StatusCode.INVALID_ARGUMENT)

    def test_malformed_message_is_refused(self):
        error = self.refused("/yumen.v1.Sponsor/ListStudies", b"\x0a\xff")
        self.assertEqual(error.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(dict(error.trailing_metadata())["yumen-code"], "invalid")

    def test_unknown_method_is_unimplemented(self):
        for path in ("/yumen.v1.Sponsor/SubmitStudy", "/yumen.v1.Worker/Post", "/x", "/grpc.reflection.v1alpha.R/I"):
            self.assertEqual(self.refused(path, b"").code(), grpc.StatusCode.UNIMPLEMENTED)

    def test_health_is_served(self):
        with self.channel() as channel:
            self.assertEqual(self.raw(channel, "/grpc.health.v1.Health/Check", b""), b"\x08\x01")


if __name__ == "__main__":
    unittest.main()
