#!/usr/bin/python3
"""List the studies of a federation and watch one until it ends.

    watch.py --hub HOST:PORT --ca ca.pem --cert tls.pem --key tls.key [--secret secret] [STUDY]

The files are those that enrolment left in the party's folder. --secret opens an
encrypted key. Written from proto/yumen/v1/yumen.proto alone; needs python3-grpcio,
python3-protobuf and protoc. docs/api.md explains it."""

import argparse
import os
import subprocess
import sys
import tempfile

import grpc

PROTO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "proto")


def messages(folder):
    """The message classes, generated from the published .proto."""
    subprocess.run(["protoc", "-I", PROTO, "--python_out", folder, "yumen/v1/yumen.proto"], check=True)
    sys.path.insert(0, folder)
    from yumen.v1 import yumen_pb2
    return yumen_pb2


def read(path):
    with open(path, "rb") as f:
        return f.read()


def private_key(path, secret):
    if not secret:
        return read(path)
    return subprocess.run(["openssl", "pkey", "-in", path, "-passin", "file:" + secret], check=True, capture_output=True).stdout


def connect(args):
    creds = grpc.ssl_channel_credentials(read(args.ca), private_key(args.key, args.secret), read(args.cert))
    options = [("grpc.max_receive_message_length", 1 << 20)]
    if args.name:
        options.append(("grpc.ssl_target_name_override", args.name))
    return grpc.secure_channel(args.hub, creds, options)


class Sponsor:
    """The two calls used here; every other one looks the same."""

    def __init__(self, channel, pb):
        self.list = channel.unary_unary(
            "/yumen.v1.Sponsor/ListStudies",
            request_serializer=pb.ListStudiesRequest.SerializeToString,
            response_deserializer=pb.ListStudiesReply.FromString)
        self.watch = channel.unary_stream(
            "/yumen.v1.Sponsor/WatchStudy",
            request_serializer=pb.WatchStudyRequest.SerializeToString,
            response_deserializer=pb.StudyEvent.FromString)


def word(enum, number, prefix):
    return enum.Name(number)[len(prefix):].lower()


def describe(pb, study):
    phase = word(pb.StudyPhase, study.phase, "STUDY_PHASE_")
    sites = " ".join("%s=%s" % (s.hospital, word(pb.SitePhase, s.phase, "SITE_PHASE_")) for s in study.site)
    return "%s %s round %d/%d attempt %d %s %s" % (
        study.study, phase, study.round, study.rounds, study.attempt, sites, study.reason)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("hub", "ca", "cert", "key"):
        p.add_argument("--" + name, required=True)
    p.add_argument("--secret", help="file with the secret that encrypts the key")
    p.add_argument("--name", help="name in the hub's certificate, when it is not the host of --hub")
    p.add_argument("study", nargs="?", help="watch this one; without it, list")
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as folder, connect(args) as channel:
        pb = messages(folder)
        sponsor = Sponsor(channel, pb)
        try:
            if not args.study:
                for study in sponsor.list(pb.ListStudiesRequest(), timeout=30).study:
                    print(describe(pb, study).strip())
                return 0
            for event in sponsor.watch(pb.WatchStudyRequest(study=args.study)):
                print(event.time, describe(pb, event.study).strip(), flush=True)
            return 0
        except grpc.RpcError as e:
            trailing = dict(e.trailing_metadata() or ())
            print("%s: %s" % (trailing.get("yumen-code", e.code().name.lower()), e.details()), file=sys.stderr)
            return 3 if e.code() == grpc.StatusCode.UNAVAILABLE else 1


if __name__ == "__main__":
    sys.exit(main())
